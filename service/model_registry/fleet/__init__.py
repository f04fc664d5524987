"""Where models run: what GPU nodes say, and what of it the registry believes. Pure, so far."""
