"""A child process that is given a line of JSON for each job, and answers with lines. Knows nothing of gateways."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, TypeVar

T = TypeVar("T")


MOST_IDLE = 8
"""Processes that wait for a job: one that has LiteLLM loaded holds 240 MB."""


class IdleChildren:
    """The children whose process waits for its next job. Too many: the one that waits longest loses its process."""

    def __init__(self, most: int = MOST_IDLE) -> None:
        self._most = most
        self._children: OrderedDict[JsonLinesChild, None] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, child: JsonLinesChild) -> None:
        """From now on it waits."""
        with self._lock:
            self._children[child] = None
            if len(self._children) > self._most:
                self._children.popitem(last=False)[0].stop()

    def remove(self, child: JsonLinesChild) -> None:
        """It gets a job, or ends. Waits while its process is being ended."""
        with self._lock:
            self._children.pop(child, None)


class JsonLinesChild:
    """One process: started with the first job, kept, and after its end replaced with the next job.

    Where too many wait (`IdleChildren`), it is ended before.

    One job at a time; `abort` and `close` from any thread. The process has the environment that is given, and nothing
    of ours.

    Args:
        command: what is run, for a working directory.
        directory: the working directory; None: a new one for each process, which goes with it.
        environment: all variables.
        stderr: as `subprocess` has it.
        group: put it into a process group of its own, which is killed as a whole.
    """

    idle: ClassVar = IdleChildren()
    """Those of this program."""

    def __init__(
        self,
        command: Callable[[str], Sequence[str]],
        *,
        directory: Path | None = None,
        environment: Mapping[str, str],
        stderr: int,
        group: bool,
    ) -> None:
        self._command = command
        self._directory = directory
        self._own: str | None = None
        self._environment = dict(environment)
        self._stderr = stderr
        self._group = group
        self._closed = False
        self.process: subprocess.Popen[str] | None = None
        """The process, while there is one."""

    def ask(
        self, job: Mapping[str, Any], timeout_s: float, read: Callable[[str], T | None], *, attempts: int = 1
    ) -> T | None:
        """Hand a job over, and give `read` each line of the answer until it returns something.

        None when the process ended, or was killed after `timeout_s`, in every attempt, each with a new process; and
        once it is closed.
        """
        self.idle.remove(self)
        for _ in range(attempts):
            if (answer := self._ask(f"{json.dumps(job)}\n", timeout_s, read)) is not None:
                if not self._closed:
                    self.idle.add(self)
                return answer
        return None

    def abort(self) -> None:
        """End the job that is going on, and all that come: at once. `close` is still needed."""
        self._closed = True
        self._kill()

    def close(self) -> None:
        """As `abort`, and wait for the end of the process."""
        self._closed = True
        self.idle.remove(self)
        self.stop()

    def stop(self) -> None:
        """Kill the process, if there is one; the next job gets another."""
        process = self.process
        self._kill()
        if process is not None:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError, ValueError):
                    pipe.close()  # type: ignore[union-attr] # there are pipes
        self.process = None
        own, self._own = self._own, None
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)

    def _ask(self, job: str, timeout_s: float, read: Callable[[str], T | None]) -> T | None:
        if self._closed:
            return None
        process = self.process = self.process or self._start()
        if self._closed:  # meanwhile, by a thread that found no process to kill
            self.stop()
            return None
        clock = threading.Timer(timeout_s, self._kill)
        clock.daemon = True
        clock.start()
        answer = None
        try:
            process.stdin.write(job)  # type: ignore[union-attr] # as above
            process.stdin.flush()  # type: ignore[union-attr]
            answer = next((found for line in process.stdout or () if (found := read(line)) is not None), None)
        except (OSError, ValueError):
            answer = None  # a broken pipe, a closed one, or a line that cannot be read
        finally:
            clock.cancel()
            if answer is None or process.poll() is not None:
                self.stop()
        return answer

    def _start(self) -> subprocess.Popen[str]:
        if self._directory is None:
            self._own = self._own or tempfile.mkdtemp(prefix="check-")
        directory = str(self._directory or self._own)
        return subprocess.Popen(  # noqa: S603 (our own program)
            self._command(directory),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=self._environment,
            cwd=directory,
            start_new_session=self._group,
            text=True,
            encoding="utf-8",
            errors="replace",
        )

    def _kill(self) -> None:
        process = self.process
        if process is not None and process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL) if self._group else process.kill()


_START = (
    "import importlib, json, sys\n"
    "sys.path[:] = json.loads(sys.argv[1])\n"
    "importlib.import_module(sys.argv[2]).main(*json.loads(sys.argv[3]))\n"
)


def python_child(module: str, *arguments: object) -> list[str]:
    """The command that runs this module's `main` with these JSON values. `-I`: no variable and no directory counts."""
    packages = [str(Path(entry).absolute()) for entry in sys.path if entry]
    return [sys.executable, "-I", "-c", _START, json.dumps(packages), module, json.dumps(arguments)]
