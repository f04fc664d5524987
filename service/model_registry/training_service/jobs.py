"""Training jobs: each runs the operator's command, with the job as JSON on its standard input. In memory only.

A command that ends with 0 has completed, any other has failed. Its output is logged, and the last lines are kept.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

log = logging.getLogger(__name__)

JobId = int | str
Status = Literal["running", "completed", "failed", "stopped"]

_LINES = 200
_LINE_BYTES = 10_000
_MOST_KEPT = 1000
"""Jobs that have ended, whose status is still known."""
_REST_SECONDS = 1.0
"""For the last output of a command that has ended: processes that it left may keep the pipe open for longer."""
_GONE_SECONDS = 3.0
"""For the end of what was killed. With the two before it, an answer still comes while clients wait."""
_LOOK_SECONDS = 0.01


class NoCommand(Exception):
    """The service was started without --train-command, or the command cannot be started."""


class AlreadyRunning(Exception):
    """The job runs, or as many jobs as may run at once."""


@dataclass
class Job:
    """One job."""

    job_id: JobId
    process: asyncio.subprocess.Process
    status: Status = "running"
    error: str | None = None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES))
    """The last lines that its command wrote."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    is_stopping: bool = False


class Jobs:
    """All jobs of this service since its start.

    Args:
        command: the program and its arguments; started without a shell. None: jobs are refused.
        most: how many may run at once.
        stop_seconds: between SIGTERM and SIGKILL. Clients wait 10 s for the answer.
    """

    def __init__(self, command: Sequence[str] | None, most: int, stop_seconds: float = 5.0) -> None:
        self._command = command
        self._most = most
        self._stop_seconds = stop_seconds
        self._jobs: dict[str, Job] = {}
        self._starting: set[str] = set()
        self._watching: set[asyncio.Task[None]] = set()

    def find(self, job_id: str) -> Job | None:
        """Find a job by its id."""
        return self._jobs.get(job_id)

    async def start(self, job_id: JobId, content: Mapping[str, Any]) -> None:
        """Start the command for a job. One that has ended may be started again. Errors: NoCommand, AlreadyRunning."""
        key = str(job_id)
        if self._command is None:
            raise NoCommand("This training service runs no jobs: it was started without --train-command.")
        running = {of for of, job in self._jobs.items() if job.status == "running"} | self._starting
        if key in running:
            raise AlreadyRunning(f"Job {job_id} is already running")
        if len(running) >= self._most:
            raise AlreadyRunning(f"{self._most} jobs are running, and no more may at once (--most-jobs).")
        self._starting.add(key)
        try:
            self._jobs.pop(key, None)
            self._jobs[key] = job = Job(job_id, await self._launch(self._command, json.dumps(content).encode()))
        finally:
            self._starting.discard(key)
        self._forget_oldest()
        log.info("job %s: started, process %d", job_id, job.process.pid)
        watching = asyncio.create_task(self._watch(job))
        self._watching.add(watching)
        watching.add_done_callback(self._watching.discard)

    async def stop(self, job: Job) -> None:
        """End a running job: SIGTERM to its command and what that started, SIGKILL after `stop_seconds`.

        Returns once none of them is left, so that the next job finds their memory and their GPU free; of a process that
        does not die (it waits for a disk, say) after three more seconds.
        """
        job.is_stopping = True
        _signal(job, signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._stop_seconds):
                await job.ended.wait()
        _signal(job, signal.SIGKILL)  # also what ignored the other signal, and is no longer waited for
        await job.ended.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(_GONE_SECONDS):
                await _group_gone(job)

    async def close(self) -> None:
        """End all jobs: the service stops."""
        await asyncio.gather(*(self.stop(job) for job in self._jobs.values() if job.status == "running"))

    async def _launch(self, command: Sequence[str], content: bytes) -> asyncio.subprocess.Process:
        out, error_out = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
        try:
            # A file, no pipe: nothing waits for a command, or what it leaves running, that does not read it.
            with tempfile.TemporaryFile() as given:
                given.write(content + b"\n")
                given.seek(0)
                return await asyncio.create_subprocess_exec(
                    *command, stdin=given, stdout=out, stderr=error_out, start_new_session=True
                )
        except OSError as error:
            raise NoCommand(f"The command {command[0]} cannot be started: {error.strerror}.") from error

    async def _watch(self, job: Job) -> None:
        reading = asyncio.create_task(_read(job))
        await job.process.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(_REST_SECONDS):
                await reading
        code = job.process.returncode or 0
        if job.is_stopping:
            job.status = "stopped"
        elif code == 0:
            job.status = "completed"
        else:
            ended = f"was ended by the signal {-code}" if code < 0 else f"failed with the exit code {code}"
            job.status, job.error = "failed", "\n".join([f"The command {ended}.", *list(job.lines)[-5:]])
        log.info("job %s: %s", job.job_id, job.status)
        job.ended.set()

    def _forget_oldest(self) -> None:
        ended = [key for key, job in self._jobs.items() if job.status != "running"]
        for key in ended[: max(0, len(ended) - _MOST_KEPT)]:
            del self._jobs[key]


async def _read(job: Job) -> None:
    """Keep and log what the command writes, line by line; of a long line the beginning."""
    output, rest = job.process.stdout, b""
    while output is not None and (piece := await output.read(_LINE_BYTES)):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            _note(job, line)
        if len(rest) > _LINE_BYTES:
            _note(job, rest)
            rest = b""
    if rest:
        _note(job, rest)


def _note(job: Job, line: bytes) -> None:
    text = line[:_LINE_BYTES].decode(errors="replace").rstrip()
    job.lines.append(text)
    log.info("job %s: %s", job.job_id, text)


def _signal(job: Job, number: signal.Signals) -> None:
    """Signal the command and what it started: they are one process group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(job.process.pid, number)


async def _group_gone(job: Job) -> None:
    """Wait for the end of all that the command started: a kill is done later than it is asked for."""
    with suppress(ProcessLookupError, PermissionError):
        while _is_alive(job.process.pid):  # noqa: ASYNC110 (no event tells of the end of others' children)
            await asyncio.sleep(_LOOK_SECONDS)


def _is_alive(group: int) -> bool:
    """Whether a process of this group runs. Errors: ProcessLookupError when there is none, not even a zombie.

    A zombie holds nothing any more, and stays for as long as process 1 takes no notice of it. Only Linux tells.
    """
    os.killpg(group, 0)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            state, _parent, of, *_ = stat.read_bytes().rpartition(b")")[2].split()
            if int(of) == group and state not in b"ZX":
                return True
    return False
