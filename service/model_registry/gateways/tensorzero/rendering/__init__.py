"""Renders the catalogue as a TensorZero project. Pure: equal rows give equal bytes. Checking is in `rules/`."""
