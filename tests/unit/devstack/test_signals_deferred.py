"""A started child is recorded before a signal is handled, so that it cannot outlive its parent."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from model_registry.devstack.process import signals_deferred

STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ToldToStop(BaseException):
    """As Ctrl-C comes: wherever the main thread stands."""


@pytest.fixture(autouse=True)
def _told() -> Iterator[None]:
    def told(_signal: int, _frame: object) -> None:
        raise ToldToStop

    before = {number: signal.signal(number, told) for number in STOP}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOP)
def test_a_begun_start_is_finished_before_a_signal_to_stop_is_handled(number: signal.Signals) -> None:
    children = []

    def begin() -> None:
        with signals_deferred():
            signal.raise_signal(number)
            children.append("known")

    with pytest.raises(ToldToStop):
        begin()

    assert children == ["known"]
    with pytest.raises(ToldToStop):
        signal.raise_signal(number)


def test_what_fails_meanwhile_fails() -> None:
    with pytest.raises(ZeroDivisionError), signals_deferred():
        _ = 1 // 0
    assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
