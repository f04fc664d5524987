"""Renders, parses and checks TensorZero projects. Pure except for `validation/` and reading files from disk."""
