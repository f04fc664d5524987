"""Whether a request that failed at one target is sent again, and when.

The rule: again if nothing was sent; if something was, only if the capability may be repeated and the caller has not got
a byte of the response. What was sent counts against a budget, so that retries never become the load that breaks what is
left.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

from model_registry.services.dispatch.targets import Outcome

GiveUpReason = Literal["answered", "client_left", "response_began", "not_repeatable", "most_tries", "retry_budget"]

_REPEATED_STATUSES: Final = frozenset({401, 429, 500, 502, 503, 504})
"""What another target may answer differently. 401 is about our key, as the caller's never gets there."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Send it again after `after` seconds: to another target if that is 0, else to any."""

    after: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not send it again: the caller gets what there is."""

    reason: GiveUpReason


class RetryBudget:
    """Retries allowed: a share of the requests of the last seconds, and a few in any case; Finagle's numbers."""

    def __init__(self, *, share: float = 0.2, per_second: float = 10.0, seconds: int = 10) -> None:
        """`share` of the requests and `per_second` more, counted over the last `seconds`."""
        self._share = share
        self._reserve = per_second * seconds
        self._seconds = seconds
        self._counts: deque[_Second] = deque()
        self._requests = 0
        self._retries = 0

    def note_request(self, now: float) -> None:
        """Count a request of a caller."""
        self._second(now).requests += 1
        self._requests += 1

    def take(self, now: float) -> bool:
        """Take one retry, if there is one left."""
        second = self._second(now)
        if self._retries + 1 > self._share * self._requests + self._reserve:
            return False
        second.retries += 1
        self._retries += 1
        return True

    def _second(self, now: float) -> _Second:
        """The count of the current second, after those that are too old are dropped."""
        number = int(now)
        counts = self._counts
        while counts and counts[0].number <= number - self._seconds:
            old = counts.popleft()
            self._requests -= old.requests
            self._retries -= old.retries
        if not counts or counts[-1].number < number:
            counts.append(_Second(number))
        return counts[-1]


class _Second:
    __slots__ = ("number", "requests", "retries")

    def __init__(self, number: int) -> None:
        self.number = number
        self.requests = 0
        self.retries = 0


def next_step(  # noqa: PLR0913 (each argument is one fact of the rule)
    outcome: Outcome,
    *,
    sent: bool,
    first_byte: bool,
    repeatable: bool,
    tries: int,
    most_tries: int,
    budget: RetryBudget,
    now: float,
    others: bool = True,
    delay: float = 1.0,
    chance: float = 0.0,
) -> Retry | GiveUp:
    """Whether to send a request again.

    Args:
        outcome: How the last try ended.
        sent: Whether any byte of the request was handed to a connection, in any try.
        first_byte: Whether the caller has got any byte of a response.
        repeatable: Whether the capability may be repeated.
        tries: Number of tries so far.
        most_tries: Their limit; not for tries of other targets while nothing was sent.
        budget: Of the model service; retries of what was sent are taken from it.
        now: Monotonic seconds.
        others: Whether a target is left that was not tried.
        delay: Longest pause in seconds before the same target is tried again, unless it asked for a longer one.
        chance: A random number, 0 to 1, that shortens the pause by up to half, so that not all come back at once.
    """
    over = _over(outcome, first_byte=first_byte, may_repeat=repeatable or not sent)
    if over is not None:
        return GiveUp(over)
    if not sent and others:
        return Retry(0.0)
    if tries >= most_tries:
        return GiveUp("most_tries")
    if sent and not budget.take(now):
        return GiveUp("retry_budget")
    return Retry(0.0 if others else max(delay * (1 - chance / 2), outcome.retry_after or 0.0))


def _over(outcome: Outcome, *, first_byte: bool, may_repeat: bool) -> GiveUpReason | None:
    """Why it is over in any case: the caller is gone, has the response or a part of it, or must not be served twice."""
    if outcome.kind in {"client_left", "refused_by_us"}:
        return "client_left"
    if outcome.kind == "ok" or (outcome.kind == "status" and outcome.status not in _REPEATED_STATUSES):
        return "answered"
    if first_byte:
        return "response_began"
    return None if may_repeat else "not_repeatable"
