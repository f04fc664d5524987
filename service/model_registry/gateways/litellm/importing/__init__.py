"""Plans the import of a LiteLLM configuration into rows. Pure."""
