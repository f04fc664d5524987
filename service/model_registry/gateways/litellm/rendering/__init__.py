"""Renders the catalogue as a LiteLLM proxy's configuration. Pure: equal rows give equal bytes."""
