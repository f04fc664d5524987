"""The same attacks from the process of the check, and from a gateway's process that it starts."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from model_registry.confinement.walls import shut_in
from model_registry.gateways.tensorzero.validation.gateway_process import GatewayProcess
from support.children import attacks


def main(directory: str, targets: attacks.Targets) -> None:
    """Print the attacks that succeeded: from this process, and from the process that it starts."""
    shutil.copy(attacks.__file__, Path(directory, "attacks.py"))  # nothing of the tests can be read from inside
    sys.path.insert(0, directory)
    tempfile.tempdir = directory
    shut_in(Path(directory))
    with GatewayProcess(child="attacks") as gateway_process:
        file = gateway_process.directory / "targets.json"
        file.write_text(json.dumps(targets))
        inside = json.loads(gateway_process.load(file, {}).message or "null")
    sys.stdout.write(json.dumps([attacks.attempts(targets), inside]))
    sys.stdout.flush()
