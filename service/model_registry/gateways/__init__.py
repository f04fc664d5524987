"""Gateways: one package per kind; what all kinds share: rendering, validating and publishing in turn."""
