"""Importing what others know of models: which rows, which fields, what stays."""
