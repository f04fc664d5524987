"""Gateways: one package per kind, and publishing, which all kinds share."""
