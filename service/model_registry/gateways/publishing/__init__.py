"""Render, validate and publish: only an accepted configuration is ever served."""
