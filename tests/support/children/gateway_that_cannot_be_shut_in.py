"""A gateway's process on a machine where a supported protection cannot be activated."""

from __future__ import annotations

from unittest.mock import patch

from model_registry.confinement import walls
from model_registry.gateways.tensorzero.validation import gateway_child


def main(directory: str, readable: list[str]) -> None:
    """Fail where Landlock would be activated."""
    refusing = OSError("the kernel refuses")
    with patch.object(walls, "landlock_version", lambda: 1), patch.object(walls, "allow_only", side_effect=refusing):
        gateway_child.main(directory, readable)
