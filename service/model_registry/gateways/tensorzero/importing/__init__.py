"""A TensorZero project as changes to the catalogue. Pure; the caller writes them."""
