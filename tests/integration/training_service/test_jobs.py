"""Training jobs as real processes: what they get, how they end, and that none is left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from model_registry.training_service.jobs import AlreadyRunning, Job, Jobs, NoCommand
from support.waiting import until

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
WITH_CHILD = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(child.pid, flush=True)
child.wait()
"""
# It takes the longer to die, the more memory it has; and it holds nothing open whose end the service sees.
WITH_LARGE_CHILD = """
import subprocess, sys
program = "import signal; kept = b'x' * 2**26; print('large', flush=True); signal.pause()"
child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
print(child.stdout.readline(), flush=True)
child.wait()
"""

Make = Callable[..., Jobs]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Make the jobs of a program in Python; those that run at the end of the test are ended."""
    made: list[Jobs] = []

    def jobs(program: str | None, most: int = 2) -> Jobs:
        made.append(Jobs(None if program is None else [sys.executable, "-c", program], most, stop_seconds=0.2))
        return made[-1]

    yield jobs
    for one in made:
        await one.close()


async def started(jobs: Jobs, job_id: int | str = 1, **content: Any) -> Job:
    await jobs.start(job_id, content)
    job = jobs.find(str(job_id))
    assert job is not None
    return job


async def printed(job: Job) -> str:
    async def last() -> str:
        return job.lines[-1] if job.lines else ""

    return await until(last)


async def test_a_command_gets_the_job_and_its_end_is_known(make: Make) -> None:
    job = await started(make("import json, sys; print(json.load(sys.stdin)['note'])"), note="é\n" * 100_000)
    await job.ended.wait()

    assert (job.status, job.error, len(job.lines)) == ("completed", None, 200)
    assert set(job.lines) == {"é", ""}


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("import sys; print('a'); sys.exit('no data')", ["The command failed with the exit code 1.", "a", "no data"]),
        ("import os; os.kill(os.getpid(), 9)", ["The command was ended by the signal 9."]),
        ("raise SystemExit(3)", ["The command failed with the exit code 3."]),
    ],
)
async def test_a_command_that_fails_says_why(make: Make, program: str, error: list[str]) -> None:
    job = await started(make(program), padding="x" * 200_000)  # which it does not read
    await job.ended.wait()

    assert job.status == "failed"
    assert (job.error or "").splitlines() == error


async def test_a_command_has_ended_though_what_it_left_holds_its_input(make: Make) -> None:
    idle = "import signal; signal.pause()"
    left = f"subprocess.Popen([sys.executable, '-c', '{idle}'], stdin=sys.stdin, stdout=null, stderr=null)"
    job = await started(make(f"import subprocess, sys; null = subprocess.DEVNULL; {left}"), padding="x" * 900_000)
    try:
        await asyncio.wait_for(job.ended.wait(), 20)
    finally:
        os.killpg(job.process.pid, signal.SIGKILL)

    assert (job.status, job.error) == ("completed", None)


async def test_a_line_without_end_is_kept_in_pieces(make: Make) -> None:
    job = await started(make("print('x' * 3_000_000)"))
    await job.ended.wait()

    assert job.status == "completed"
    assert {len(line) for line in job.lines} <= set(range(1, 20_001))


@pytest.mark.parametrize("program", [STUBBORN, WITH_CHILD, WITH_LARGE_CHILD])
async def test_a_stopped_job_leaves_no_process(make: Make, program: str) -> None:
    jobs = make(program)
    job = await started(jobs)
    await printed(job)
    family = [psutil.Process(job.process.pid), *psutil.Process(job.process.pid).children(recursive=True)]

    await jobs.stop(job)

    assert (job.status, job.error) == ("stopped", None)
    assert [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
    assert (await started(jobs)).status == "running"


async def test_a_job_runs_once_at_a_time_and_no_more_jobs_than_may(make: Make) -> None:
    jobs = make("import signal; signal.pause()")
    await started(jobs, 1)
    with pytest.raises(AlreadyRunning, match="Job 1 is already running"):
        await started(jobs, "1")
    await started(jobs, "run-2")
    with pytest.raises(AlreadyRunning, match="2 jobs are running"):
        await started(jobs, 3)


async def test_without_a_command_nothing_runs(make: Make, tmp_path: Path) -> None:
    with pytest.raises(NoCommand, match="--train-command"):
        await started(make(None))
    gone = Jobs([str(tmp_path / "gone")], 1)
    with pytest.raises(NoCommand, match="No such file"):
        await gone.start(1, {})
    assert json.dumps(gone.find("1")) == "null"
