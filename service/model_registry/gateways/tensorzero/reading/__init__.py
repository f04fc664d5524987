"""Reading a TensorZero project: its TOML, and the files that it names."""
