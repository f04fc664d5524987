"""Helpers shared by tests and fixtures; README.md is the index."""
