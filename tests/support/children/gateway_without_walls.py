"""The gateway's process without its sandbox: shows what other protections stop alone, and that tests would notice."""

from __future__ import annotations

import os

from model_registry.gateways.tensorzero.validation import gateway_child


def main(directory: str, _readable: list[str]) -> None:
    """Respond from the same directory, without a sandbox."""
    os.chdir(directory)
    gateway_child.load_gateway()
    gateway_child.serve()
