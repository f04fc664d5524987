"""The check of whole projects in a process of its own: a large one takes seconds of computing, and gateways crash.

The process is started when it is first needed, kept warm, and replaced after a crash (`json_lines_child.py`). What it
does is in `validator_child.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Self

from model_registry.errors import NotConfined, Reason
from model_registry.gateways.json_lines_child import JsonLinesChild, python_child
from model_registry.gateways.tensorzero.validation.gateway_process import GatewayAnswer
from model_registry.gateways.tensorzero.validation.validate import CRASHED, ValidationResult

_CHILD = "model_registry.gateways.tensorzero.validation.validator_child"

TIMEOUT_S = 20.0
"""For one load by the gateway. It loads 10,000 models in two seconds; what takes this long hangs."""


def gateway_version() -> str | None:
    """Return the version of the gateway that validates here; None without the extra `gateway`."""
    try:
        return version("tensorzero")
    except PackageNotFoundError:
        return None


class ValidatorProcess:
    """Checks projects, one at a time, from any thread. A check that crashes or hangs is a refusal that says so.

    The process has no environment, and one directory to write to, which goes with it.
    """

    def __init__(
        self, timeout_s: float = TIMEOUT_S, command: Iterable[str] | None = None, *, niceness: int = 0
    ) -> None:
        self._timeout_s = timeout_s
        given = list(command or ())
        self.child = JsonLinesChild(
            lambda directory: given or python_child(_CHILD, os.path.realpath(directory), niceness, timeout_s),
            environment={},  # no variable of the service is any business of what is checked
            stderr=subprocess.DEVNULL,
            # A group of its own: Ctrl-C is for the service, and the gateway inside ends with it.
            group=True,
        )
        self._one = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(
        self,
        files: Mapping[str, bytes],
        *,
        gateway: bool,
        configuration: Iterable[str] | None = None,
        ours: bool = False,
    ) -> ValidationResult:
        """Check one project. Blocks: 20 ms for a hundred models, three seconds for 10,000.

        `ours`: the registry rendered it, and much the same is checked again and again.

        Timeout: a gateway has 20 s for a load and is asked twice; after 50 s the whole process is replaced.

        Raises:
            NotConfined: a wall around the check that this machine's kernel has cannot be put up.
        """
        job = {
            "files": {path: content.decode("utf-8", "surrogateescape") for path, content in files.items()},
            "configuration": list(configuration) if configuration else None,
            "gateway": gateway,
            "ours": ours,
        }
        with self._one:
            answer: dict[str, Any] | None = self.child.ask(job, 2.5 * self._timeout_s, json.loads)
        if answer is None:
            return ValidationResult((CRASHED,))
        if "unconfined" in answer:
            raise NotConfined(f"Nothing is checked: {answer['unconfined']}")
        return _read(answer)

    def close(self) -> None:
        """End the process, and the check that may be going on."""
        self.child.close()

    def abort(self) -> None:
        """End the check that is going on, and all that come: at once, from any thread. `close` is still needed."""
        self.child.abort()


def _read(answer: dict[str, Any]) -> ValidationResult:
    gateway = answer["gateway"]
    return ValidationResult(
        faults=tuple(Reason(**fault) for fault in answer["faults"]),
        deprecated=tuple(Reason(**entry) for entry in answer["deprecated"]),
        warnings=tuple(Reason(**entry) for entry in answer.get("warnings", ())),
        gateway=gateway
        and GatewayAnswer(
            gateway["accepted"], gateway["message"], tuple(gateway["warnings"]), tuple(gateway["by_rules"])
        ),
        unasked=answer["unasked"],
    )
