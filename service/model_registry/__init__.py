"""A registry of AI models: one source of truth for providers, models, who uses which, and what runs where."""

__version__ = "0.1.0"
