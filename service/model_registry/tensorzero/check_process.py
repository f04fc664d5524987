"""The check of whole projects in a process of its own: a large one takes seconds of computing, and gateways crash.

The process is started when it is first needed, kept warm, and replaced after a crash. What it does is in
`project_check.py`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, Self

from model_registry.errors import Reason
from model_registry.tensorzero.gateway import Verdict
from model_registry.tensorzero.project_check import Findings

_KEPT = ("PATH", "PYTHONPATH", "HOME", "TMPDIR", "TEMP", "LANG", "LC_ALL", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
"""No secret of the service's environment is any business of a gateway that judges."""

TIMEOUT_S = 20.0
"""For one load by the gateway. It loads 10,000 models in two seconds; what takes this long hangs."""


def gateway_version() -> str | None:
    """Which gateway judges here; None without the extra `gateway`."""
    try:
        return version("tensorzero")
    except PackageNotFoundError:
        return None


class CheckProcess:
    """Checks projects, one at a time, from any thread. A check that crashes or hangs is a refusal that says so."""

    def __init__(self, timeout_s: float = TIMEOUT_S, command: Iterable[str] | None = None) -> None:
        self._timeout_s = timeout_s
        self._command = list(command or [sys.executable, "-m", "model_registry.tensorzero.check_child"])
        self._process: subprocess.Popen[str] | None = None
        self._one = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def check(
        self, files: Mapping[str, bytes], *, gateway: bool, configuration: Iterable[str] | None = None
    ) -> Findings:
        """Check one project. Blocks: 20 ms for a hundred models, three seconds for 10,000.

        Timeout: a gateway has 20 s for a load and is asked twice; after 50 s the whole process is replaced.
        """
        job = {
            "files": {path: content.decode("utf-8", "surrogateescape") for path, content in files.items()},
            "configuration": list(configuration) if configuration else None,
            "gateway": gateway,
            "timeout_s": self._timeout_s,
        }
        with self._one:
            answer = self._ask(json.dumps(job))
        if answer is None:
            return Findings((Reason("", "the check crashes or hangs on this configuration"),))
        return _read(answer)

    def close(self) -> None:
        """End the process, and the check that may be going on."""
        self._closed = True
        self._end()

    def _ask(self, job: str) -> dict[str, Any] | None:
        if self._closed:
            return None
        process = self._process = self._process or self._start()
        clock = threading.Timer(2.5 * self._timeout_s, self._end)
        clock.daemon = True
        clock.start()
        try:
            commands, answers = _pipes(process)
            commands.write(f"{job}\n")
            commands.flush()
            line = answers.readline()
            answer: dict[str, Any] | None = json.loads(line) if line else None
        except (OSError, ValueError):
            answer = None
        finally:
            clock.cancel()
        if answer is None:
            self._end()
            self._forget(process)
        return answer

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 (our own program)
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _KEPT if name in os.environ},
            # A group of its own: Ctrl-C is for the service, and the gateway inside ends with it.
            start_new_session=True,
            text=True,
            encoding="ascii",
        )

    def _end(self) -> None:
        """Kill the process and the gateway that it runs. From any thread."""
        process = self._process
        if process is not None and process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process is not None and self._closed:
            self._forget(process)

    def _forget(self, process: subprocess.Popen[str]) -> None:
        self._process = None
        for pipe in _pipes(process):
            with suppress(OSError, ValueError):
                pipe.close()


def _pipes(process: subprocess.Popen[str]) -> tuple[Any, Any]:
    return process.stdin, process.stdout


def _read(answer: dict[str, Any]) -> Findings:
    said = answer["gateway"]
    return Findings(
        faults=tuple(Reason(**fault) for fault in answer["faults"]),
        deprecated=tuple(Reason(**entry) for entry in answer["deprecated"]),
        gateway=said and Verdict(said["accepted"], said["message"], tuple(said["warnings"])),
        unasked=answer["unasked"],
    )
