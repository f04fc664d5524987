"""What a registry that dispatches promises, compared with what callers and instances saw: a row for each promise."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from service_calls import Call
from service_faults import ALWAYS_FAILS, Instance, Window

K = TypeVar("K")

FAILURES_TO_OPEN = 5
BACK_SECONDS = 10.0
LEAVE_SECONDS = 0.1
_THAW_SECONDS = 1.0
_MOMENT = 0.1
"""Between what a replica knows and what an instance sees."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One promise."""

    promise: str
    allowed: str
    seen: str
    kept: bool
    timed: bool = False
    """Whether it is about time: a machine that others use breaks it as well."""


def table(rows: Iterable[Kept]) -> str:
    """The rows as text."""
    cells = [("promise", "allowed", "seen", "")]
    cells += [(row.promise, row.allowed, row.seen, "kept" if row.kept else "BROKEN") for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)


def repeatable(calls: Sequence[Call]) -> Kept:
    """No request that may be repeated fails while an instance is well; one always is."""
    mine = [call for call in calls if call.id.startswith("again")]
    failed = Counter(call.status for call in mine if not call.well)
    seen = f"{failed.total()} of {len(mine)}" + (f" {dict(failed)}" if failed else "")
    return Kept("repeatable requests that failed", "0", seen, bool(mine) and not failed)


def others(calls: Sequence[Call], instances: Sequence[Instance]) -> Kept:
    """What must not be repeated is carried out once, or not at all."""
    mine = [call for call in calls if call.id.startswith("once")]
    executed: Counter[str] = sum((one.stub.executed() for one in instances), Counter())
    twice = [call.id for call in mine if executed[call.id] > 1]
    failed = sum(not call.well for call in mine)
    lost = sum(call.well and not executed[call.id] for call in mine)
    seen = f"{len(twice)} of {len(mine)}; {failed} failed, {lost} answered without"
    return Kept("others carried out more than once", "0", seen, bool(mine) and not twice and not lost)


def at_once(instances: Sequence[Instance], limit: int) -> Kept:
    """`max_concurrent_requests` holds, in each replica.

    What an instance reads or ends as it thaws is not counted: the replica had given it up long before.
    """
    most = 0
    for one in instances:
        thaws = [window.ended for window in one.windows if window.fault == "frozen"]
        lively = [call for call in one.calls if not any(_thawed(call, moment) for moment in thaws)]
        most = max(most, *(_most_at_once(calls, _MOMENT) for calls in _by(lively, _replica, [0]).values()))
    return Kept("requests at once at an instance, from a replica", f"{limit}", f"{most}", 0 < most <= limit)


def out(instances: Sequence[Instance], limit: int) -> tuple[Kept, Kept]:
    """A failing instance is out after five failures, and then gets one request at a time as a test.

    A request that met a kept connection just as that was closed is sent again over a new one: one failure, seen twice.
    """
    before, tests = 0, 0
    for one, window in _windows(instances, ALWAYS_FAILS):
        for calls in _by(_within(one.calls, window), _lane).values():
            if len(calls) < FAILURES_TO_OPEN:
                continue
            opened = sorted(call["ended"] for call in calls)[FAILURES_TO_OPEN - 1] + _MOMENT
            before = max(before, len({call["id"] for call in calls if call["began"] <= opened}))
            tests = max(tests, _most_at_once([call for call in calls if call["began"] > opened]))
    most = FAILURES_TO_OPEN + limit
    allowed = f"{FAILURES_TO_OPEN}, {limit} under way"
    return (
        Kept("failures until an instance is out", allowed, f"{before}", before <= most),
        Kept("requests at once while half-open", "1", f"{tests}", tests <= 1),
    )


def back(instances: Sequence[Instance], replicas: int) -> Kept:
    """An instance that is well again gets requests again."""
    seconds = [
        (
            min((c["began"] for c in calls if c["began"] >= window.ended), default=float("inf")) - window.ended,
            window.fault,
        )
        for one, window in _windows(instances)
        for calls in _by(one.calls, _replica, range(replicas)).values()
    ]
    slowest, fault = max(seconds, default=(float("inf"), "nothing"))
    promise = "until one that is well again is back"
    return Kept(promise, f"{BACK_SECONDS:.0f} s", f"{slowest:.1f} s ({fault})", slowest <= BACK_SECONDS, timed=True)


def left(closed: dict[str, float], calls: Sequence[dict[str, Any]]) -> Kept:
    """A caller that leaves ends the request at the instance."""
    ended = {
        call["id"]: call.get("ended", float("inf")) for call in calls if call["how"] == "left" or "ended" not in call
    }
    seconds = sorted(ended[name] - at for name, at in closed.items() if name in ended)
    p99 = seconds[int(0.99 * len(seconds))] if seconds else float("inf")
    seen = f"{p99 * 1000:.0f} ms; {len(seconds)} of {len(closed)} reached it"
    return Kept("callers that leave: the instance knows (p99)", "100 ms", seen, p99 <= LEAVE_SECONDS, timed=True)


def _thawed(call: dict[str, Any], moment: float) -> bool:
    return bool(call["began"] <= moment + _THAW_SECONDS and call["ended"] >= moment - _MOMENT)


def _windows(instances: Sequence[Instance], faults: Iterable[str] | None = None) -> Iterable[tuple[Instance, Window]]:
    for one in instances:
        for window in one.windows:
            if faults is None or window.fault in faults:
                yield one, window


def _within(calls: Iterable[dict[str, Any]], window: Window) -> list[dict[str, Any]]:
    return [
        call for call in calls if window.began + _MOMENT < call["began"] < window.ended - _MOMENT and "ended" in call
    ]


def _replica(call: dict[str, Any]) -> int:
    return int(call["id"].split("-")[1])


def _lane(call: dict[str, Any]) -> tuple[str, int]:
    """Of one capability, from one replica."""
    return call["id"].split("-")[0], _replica(call)


def _by(
    calls: Iterable[dict[str, Any]], key: Callable[[dict[str, Any]], K], keys: Iterable[K] = ()
) -> dict[K, list[dict[str, Any]]]:
    found: dict[K, list[dict[str, Any]]] = defaultdict(list, {one: [] for one in keys})
    for call in calls:
        if call["id"]:
            found[key(call)].append(call)
    return found


def _most_at_once(calls: Iterable[dict[str, Any]], ended_early: float = 0.0) -> int:
    """Most that were under way at the same time. One that was aborted ended a moment before the instance saw it."""
    steps = []
    for call in calls:
        early = ended_early if call["how"] == "left" else 0.0
        steps += [(call["began"], 1), (max(call["began"], call.get("ended", float("inf")) - early), -1)]
    now = most = 0
    for _, step in sorted(steps):
        now += step
        most = max(most, now)
    return most
