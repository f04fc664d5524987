"""Plans the import of a TensorZero project into the catalogue. Pure; the caller writes the operations."""
