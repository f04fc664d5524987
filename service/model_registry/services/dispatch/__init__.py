"""Sends requests to model services. What is decided, is decided without I/O, clock or chance: they are arguments."""
