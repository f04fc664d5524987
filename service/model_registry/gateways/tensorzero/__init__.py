"""The catalogue as a TensorZero project, and back: render, parse, check. Pure, but for the judge in `gateway.py`."""
