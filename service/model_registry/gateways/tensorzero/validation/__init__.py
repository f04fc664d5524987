"""Validates whole projects by the rules and by the real gateway, in child processes. The rules are in `rules/`."""
