"""Reads the configurations of LiteLLM's proxy. Pure, apart from `config_files.py`."""
