"""Sandbox for child processes that read untrusted input. Linux only; independent of the registry and the gateway."""
