"""Calls a function of a Python module that is not ours, in a process of its own, and returns what it answers as JSON.

A module may print, crash, hang, need gigabytes, and may be called `model_registry` like our own package: none of that
concerns the process that asks. Which module it is, the operator decides, never a request.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from model_registry.entities.json_types import Json
from model_registry.errors import SourceUnreadable

SECONDS = 60.0
"""For importing the module and calling the function: frameworks take long to import."""
_LONGEST_SHOWN = 300

_CHILD = """
import importlib, json, os, sys
place, name, function = sys.argv[1:]
if place:
    sys.path.insert(0, place)
answer = os.dup(1)
os.dup2(2, 1)  # what the module prints is no part of the answer
found = getattr(importlib.import_module(name), function)()
with os.fdopen(answer, "w") as file:
    json.dump(found, file)
"""


def call_module(module: str, function: str = "get_all_models", seconds: float = SECONDS) -> Json:
    """Import a module, call a function of it without arguments, and return the result.

    Args:
        module: the dotted name of an installed one, or the path of a package or file.
        function: its name.
        seconds: after which the process is killed.

    Raises:
        SourceUnreadable: the module or function is missing, fails, takes too long, or returns what is not JSON.
    """
    is_path = "/" in module or module.endswith(".py")
    place, name = (str(Path(module).resolve().parent), Path(module).stem) if is_path else ("", module)
    if is_path and not Path(module).exists():
        raise SourceUnreadable(f"There is no module {module}.")
    # -P: not the directory that one happens to be in.
    argv = [sys.executable, "-P", "-c", _CHILD, place, name, function]
    try:
        done = subprocess.run(argv, capture_output=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL)  # noqa: S603 (our own program)
    except subprocess.TimeoutExpired as error:
        raise SourceUnreadable(f"{function}() of the module {module} did not answer within {seconds:g} s.") from error
    if done.returncode != 0:
        printed = done.stderr.decode(errors="replace").strip().splitlines()
        why = printed[-1][:_LONGEST_SHOWN] if printed else f"it ended with {done.returncode}"
        raise SourceUnreadable(f"{function}() of the module {module} cannot be called: {why}")
    try:
        answer: Json = json.loads(done.stdout)
    except ValueError as error:
        raise SourceUnreadable(f"{function}() of the module {module} answers with no JSON: {error}") from error
    return answer
