"""Reads a TensorZero project: its TOML and the referenced files. The rules of a configuration are in `rules/`."""
