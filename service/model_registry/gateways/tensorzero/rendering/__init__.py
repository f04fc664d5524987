"""The catalogue as a TensorZero project. Pure: equal rows give equal bytes."""
