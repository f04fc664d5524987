"""Model services: what is registered, how it is, and sending requests to it. Storage itself is in `store/`."""
