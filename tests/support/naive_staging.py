"""A project laid out as it was sent, as the registry did before it took names and texts from nobody.

Here to try the walls of the gateway's process alone, and to show that without them the canaries do sing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from model_registry.gateways.tensorzero.validation.dummy_credentials import ACCOUNT, environment
from model_registry.gateways.tensorzero.validation.gateway_process import GatewayAnswer, GatewayProcess

_IN_FILE = re.compile(r"path_from_env::([^\"'\\\n]*)")
_IN_VARIABLE = re.compile(r"env::([^\"'\\\n]*)")


def load(gateway_process: GatewayProcess, files: Mapping[str, bytes], configuration: list[str] | None) -> GatewayAnswer:
    """Ask the gateway about whatever was sent."""
    project = gateway_process.directory / "project"
    project.mkdir(exist_ok=True)
    variables = environment()
    del variables["ALL_PROXY"]  # as it was then
    for name, content in files.items():
        _write(project, name, content)
        text = content.decode("utf-8", "replace")
        for pattern, value in ((_IN_VARIABLE, "not-a-key"), (_IN_FILE, str(gateway_process.directory / ACCOUNT))):
            found = (variable for variable in pattern.findall(text) if variable and not set("=\0") & set(variable))
            variables |= dict.fromkeys((variable for variable in found if variable.isascii()), value)
    name = (configuration or ["tensorzero.toml"])[0]
    return gateway_process.load(project / name, variables)


def _write(project: Path, name: str, content: bytes) -> None:
    """Only below the project: the canary itself is not to be written to."""
    if name.startswith("/") or ".." in name:
        return
    try:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes(content)
    except (OSError, ValueError):
        return
