"""Editing and showing rows: resources, request models, views, and who owns a field. Pure."""
