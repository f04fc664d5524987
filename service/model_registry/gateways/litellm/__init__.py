"""LiteLLM's proxy: everything about its configuration."""
