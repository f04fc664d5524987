"""The names that programs written for older registries use: thin layers over the client."""
