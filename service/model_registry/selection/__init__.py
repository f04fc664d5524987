"""Searches and selects models: index, filters, costs, constraints, scoring, comparison. Pure: no I/O, no clock."""
