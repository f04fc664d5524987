"""How a child process of ours is started: Python with this process's packages, and nothing of its environment."""

from __future__ import annotations

import json
import sys
from pathlib import Path

_START = (
    "import importlib, json, sys\n"
    "sys.path[:] = json.loads(sys.argv[1])\n"
    "importlib.import_module(sys.argv[2]).main(*json.loads(sys.argv[3]))\n"
)


def python_child(module: str, *arguments: object) -> list[str]:
    """The command that runs this module's `main` with these JSON values. `-I`: no variable and no directory counts."""
    packages = [str(Path(entry).absolute()) for entry in sys.path if entry]
    return [sys.executable, "-I", "-c", _START, json.dumps(packages), module, json.dumps(arguments)]
