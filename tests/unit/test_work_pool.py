"""Long work: limited in number, queue and duration, and cancelled when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import pytest

from model_registry.errors import DeadlineExceeded, TooManyRequests
from model_registry.work_pool import WorkPool, WorkStopped


class Endless:
    """Work that ends when it is stopped, and says so."""

    def __init__(self) -> None:
        self.begun, self.stopped = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        try:
            while True:
                with contextlib.suppress(Exception):  # as careless work does: it must not keep it alive
                    sum(range(100))
        except WorkStopped:
            self.stopped.set()
            raise


async def happened(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 20)


@pytest.fixture
def pool() -> Iterator[WorkPool]:
    made = WorkPool("test", threads=1, queue=1, seconds=30)
    yield made
    made.close()


async def test_it_answers_what_the_work_answers_or_raises(pool: WorkPool) -> None:
    assert await pool.run(lambda a, b: a + b, 1, b=2) == 3
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda: 1 / 0)
    with pytest.raises(TimeoutError, match="its own"):
        await pool.run(_raise, TimeoutError("its own"))
    assert pool.busy == 0


def _raise(error: Exception) -> None:
    raise error


async def test_what_does_not_fit_the_queue_is_refused(pool: WorkPool) -> None:
    endless = Endless()
    first = asyncio.create_task(pool.run(endless))
    await happened(endless.begun)
    second = asyncio.create_task(pool.run(int))
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequests, match="Try again"):
        await pool.run(int)
    first.cancel()
    assert await second == 0


async def test_work_whose_caller_leaves_is_stopped_and_the_thread_goes_on(pool: WorkPool) -> None:
    for _ in range(20):
        endless = Endless()
        caller = asyncio.create_task(pool.run(endless))
        await happened(endless.begun)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await happened(endless.stopped)
        assert await pool.run(int) == 0


async def test_work_is_stopped_also_where_python_drops_what_is_raised(pool: WorkPool) -> None:
    begun, left, stopped = threading.Event(), threading.Event(), threading.Event()

    class Busy:
        def __del__(self) -> None:  # as in a callback of a weak reference: nothing that is raised here gets out
            begun.set()
            with contextlib.suppress(WorkStopped):
                while True:
                    sum(range(100))

    def work() -> None:
        Busy()
        left.set()
        try:
            while True:
                sum(range(100))
        except WorkStopped:
            stopped.set()
            raise

    first = asyncio.create_task(pool.run(work))
    await happened(begun)
    first.cancel()
    await happened(left)
    await happened(stopped)
    assert await pool.run(lambda: "next") == "next"


async def test_work_in_the_queue_whose_caller_leaves_is_not_begun(pool: WorkPool) -> None:
    endless, waiting = Endless(), Endless()
    first = asyncio.create_task(pool.run(endless))
    await happened(endless.begun)
    second = asyncio.create_task(pool.run(waiting))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    first.cancel()
    assert await pool.run(int) == 0
    assert not waiting.begun.is_set()


async def test_work_that_takes_too_long_is_stopped() -> None:
    pool, endless = WorkPool("test", threads=1, queue=1, seconds=0.05), Endless()
    with pytest.raises(DeadlineExceeded, match="Send less at a time"):
        await pool.run(endless)
    await happened(endless.stopped)


async def test_closing_stops_what_runs_and_takes_nothing_more(pool: WorkPool) -> None:
    endless = Endless()
    caller = asyncio.create_task(pool.run(endless))
    await happened(endless.begun)
    pool.close()
    with pytest.raises(TooManyRequests, match="stopping"):
        await caller
    await happened(endless.stopped)
    with pytest.raises(TooManyRequests):
        await pool.run(int)
