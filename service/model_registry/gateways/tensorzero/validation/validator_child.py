"""Checks one project after another. Started by `validator_process.py`, which speaks with it in lines of JSON.

It shuts itself in before it reads the first one; the gateway that it runs shuts itself in further.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from model_registry.confinement.walls import shut_in
from model_registry.errors import NotConfined
from model_registry.gateways.tensorzero.rules.cached_rules import CachedRules
from model_registry.gateways.tensorzero.validation.gateway_process import GatewayProcess
from model_registry.gateways.tensorzero.validation.validate import ValidationResult, check_project

_RENEW_AFTER = 500
"""Checks by one gateway process: what it may leak ends with it."""


class _WarmGateway:
    """One gateway process, kept warm; replaced when asked for another patience, or when it has done much."""

    def __init__(self, exits: ExitStack) -> None:
        self._exits = exits
        self._process: GatewayProcess | None = None
        self._timeout_s = 0.0
        self._checks = 0

    def process(self, timeout_s: float) -> GatewayProcess:
        self._checks += 1
        if self._process is None or timeout_s != self._timeout_s or self._checks > _RENEW_AFTER:
            self._exits.close()
            self._process, self._timeout_s, self._checks = (
                self._exits.enter_context(GatewayProcess(timeout_s)),
                timeout_s,
                1,
            )
        return self._process


def _check(job: dict[str, Any], gateway: _WarmGateway, rechecker: CachedRules) -> ValidationResult:
    files = {path: content.encode("utf-8", "surrogateescape") for path, content in job["files"].items()}
    process = gateway.process(job["timeout_s"]) if job["gateway"] else None
    remembered = rechecker if job["ours"] else None
    return check_project(files, process, configuration=job["configuration"], rechecker=remembered)


def main(directory: str, niceness: int) -> None:
    """Answer until the input ends, from within walls.

    Args:
        directory: the only place to write to, and the only one to read from beside Python's own.
        niceness: how far to stand behind other processes.
    """
    os.umask(0o077)
    os.nice(niceness)
    tempfile.tempdir = directory
    try:
        shut_in(Path(directory))
    except OSError as error:
        _answer({"unconfined": f"the process of the check cannot be shut in: {error}"})
        return
    # What is remembered of 10,000 models is a million objects: nobody waits for them to be looked through for garbage.
    gc.disable()
    with ExitStack() as exits:
        gateway, rechecker = _WarmGateway(exits), CachedRules()
        for line in sys.stdin:
            began = time.perf_counter()
            try:
                result = _check(json.loads(line), gateway, rechecker)
            except NotConfined as error:
                _answer({"unconfined": error.message})
                return
            _answer({**asdict(result), "seconds": time.perf_counter() - began})
            gc.collect()
            gc.freeze()


def _answer(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
