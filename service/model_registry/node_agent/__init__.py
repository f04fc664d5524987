"""Runs on a GPU node: watches its model servers, and publishes loaded models over NATS. Imports no server code."""
