"""Validates successive projects. Started by `validator_process.py`, which exchanges lines of JSON with it.

It confines itself before it reads the first project; the gateway that it starts confines itself further.
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
"""Checks per gateway process, which bounds its memory leaks."""


class _WarmGateway:
    """One gateway process, kept warm; replaced after `_RENEW_AFTER` checks."""

    def __init__(self, exits: ExitStack, timeout_s: float) -> None:
        self._exits = exits
        self._timeout_s = timeout_s
        self._gateway: GatewayProcess | None = None
        self._checks = 0

    def gateway(self) -> GatewayProcess:
        if self._gateway is None or self._checks == _RENEW_AFTER:
            self._exits.close()
            self._gateway, self._checks = self._exits.enter_context(GatewayProcess(self._timeout_s)), 0
        self._checks += 1
        return self._gateway


def _findings(job: dict[str, Any], warm: _WarmGateway, cached_rules: CachedRules) -> ValidationResult:
    files = {path: content.encode("utf-8", "surrogateescape") for path, content in job["files"].items()}
    gateway = warm.gateway() if job["gateway"] else None
    remembered = cached_rules if job["ours"] else None
    return check_project(files, gateway, configuration=job["configuration"], cached_rules=remembered)


def main(directory: str, niceness: int, timeout_s: float) -> None:
    """Confine the process, then validate until the input ends.

    Args:
        directory: the only writable directory, and the only readable one besides Python's own.
        niceness: added to the process's nice value.
        timeout_s: for one load by the gateway.
    """
    os.umask(0o077)
    os.nice(niceness)
    tempfile.tempdir = directory
    try:
        shut_in(Path(directory))
    except OSError as error:
        _write({"unconfined": f"the process of the check cannot be shut in: {error}"})
        return
    # The cache of 10,000 models is a million objects: no check waits for the garbage collector to scan them.
    gc.disable()
    with ExitStack() as exits:
        warm, cached_rules = _WarmGateway(exits, timeout_s), CachedRules()
        for line in sys.stdin:
            began = time.perf_counter()
            try:
                result = _findings(json.loads(line), warm, cached_rules)
            except NotConfined as error:
                _write({"unconfined": error.message})
                return
            _write({**asdict(result), "seconds": time.perf_counter() - began})
            gc.collect()
            gc.freeze()


def _write(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
