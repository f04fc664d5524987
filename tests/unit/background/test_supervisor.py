"""Workers are started, restarted after unexpected errors, and stopped in reverse order within a bound."""

from __future__ import annotations

import asyncio

import pytest

from model_registry.background.supervisor import Supervisor, Worker
from support.waiting import until

SOON = 0.001


class Diary:
    """What workers did, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def worker(self, name: str) -> Worker:
        """A worker that writes down each of its steps."""

        async def run() -> None:
            self.lines.append(f"{name} runs")
            try:
                await asyncio.Event().wait()
            finally:
                self.lines.append(f"{name} is cancelled")

        async def before() -> None:
            self.lines.append(f"{name} finishes")

        async def after() -> None:
            self.lines.append(f"{name} closes")

        return Worker(name, run, before_stop=before, after_stop=after)

    async def has(self, line: str) -> bool:
        """Whether this happened."""
        return line in self.lines


@pytest.fixture
def failures() -> list[str]:
    """Names of the workers that failed."""
    return []


async def test_workers_stop_in_reverse_order_each_finished_cancelled_and_closed() -> None:
    diary, supervisor = Diary(), Supervisor()
    for name in ("a", "b"):
        supervisor.start(diary.worker(name))
    await until(lambda: diary.has("b runs"))

    await supervisor.stop()

    steps = ("finishes", "is cancelled", "closes")
    assert diary.lines == ["a runs", "b runs", *(f"{name} {step}" for name in "ba" for step in steps)]


async def test_a_worker_outlives_its_bugs_and_each_is_counted(failures: list[str]) -> None:
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs <= 3:
            message = "a bug"
            raise ValueError(message)
        await asyncio.Event().wait()

    async def runs_again() -> bool:
        return runs == 4

    supervisor = Supervisor(failures.append)
    supervisor.start(Worker("w", run, pause_seconds=SOON))

    await until(runs_again)
    await supervisor.stop()
    assert (runs, failures) == (4, ["w"] * 3)


async def test_a_worker_that_returns_is_done(failures: list[str]) -> None:
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1

    async def has_run() -> bool:
        return runs > 0

    supervisor = Supervisor(failures.append)
    supervisor.start(Worker("w", run, pause_seconds=SOON))
    await until(has_run)
    await supervisor.stop()

    assert (runs, failures) == (1, [])


async def test_a_worker_stops_while_it_waits_for_its_restart(failures: list[str]) -> None:
    async def run() -> None:
        raise ValueError

    async def failed() -> bool:
        return bool(failures)

    supervisor = Supervisor(failures.append)
    supervisor.start(Worker("w", run, pause_seconds=3600))
    await until(failed)

    await supervisor.stop()

    assert failures == ["w"]


async def test_one_that_does_not_stop_in_time_is_left_and_the_others_stop() -> None:
    diary, supervisor = Diary(), Supervisor(stop_seconds=SOON)
    released = asyncio.Event()

    async def never() -> None:
        await released.wait()

    supervisor.start(diary.worker("a"))
    supervisor.start(Worker("b", never, before_stop=never))
    await until(lambda: diary.has("a runs"))

    await supervisor.stop()

    assert "a is cancelled" in diary.lines
    released.set()


async def test_one_that_fails_while_it_finishes_is_cancelled_and_closed_all_the_same() -> None:
    diary, supervisor = Diary(), Supervisor()
    usual = diary.worker("b")

    async def fails() -> None:
        raise ValueError

    supervisor.start(diary.worker("a"))
    supervisor.start(Worker("b", usual.run, before_stop=fails, after_stop=usual.after_stop))
    await until(lambda: diary.has("b runs"))

    await supervisor.stop()

    assert diary.lines[2:] == ["b is cancelled", "b closes", "a finishes", "a is cancelled", "a closes"]
