"""A training service: one framework's models over HTTP, and training jobs that run a command of the operator."""
