"""The gateway's process without its walls: to see what the others hold alone, and that tests would notice."""

from __future__ import annotations

import os

from model_registry.gateways.tensorzero.validation import gateway_child


def main(directory: str, _readable: list[str]) -> None:
    """Answer from the same directory, and nothing more."""
    os.chdir(directory)
    gateway_child.load_gateway()
    gateway_child.serve()
