"""What the client retries: how often, and how long it waits in between."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import httpx

from model_registry.client.requests import Call

Reply = httpx.Response | httpx.HTTPError | None

_AWAY = frozenset({502, 503, 504})
_TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Timeouts and retries, in seconds."""

    answer: float = 10.0
    connect: float = 5.0
    attempts: int = 4
    """In all. Only a request that may be repeated has more than one; after 429 (not carried out), every request."""
    first_pause: float = 0.2
    """Doubled after each attempt, with up to as much again at random. A Retry-After of the registry counts more."""
    longest_pause: float = 10.0

    def pause(self, call: Call[Any], reply: Reply, attempt: int) -> float | None:
        """How long to wait before the next attempt; None when this was the last."""
        refused = isinstance(reply, httpx.Response) and reply.status_code == _TOO_MANY
        if attempt >= self.attempts or not (refused or (is_away(reply) and call.may_repeat)):
            return None
        asked = reply.headers.get("retry-after", "") if isinstance(reply, httpx.Response) else ""
        if asked.isdigit():
            return min(float(asked), self.longest_pause)
        pause: float = self.first_pause * 2 ** (attempt - 1)
        return min(pause * random.uniform(1, 2), self.longest_pause)  # noqa: S311 (spreads load, hides nothing)


def is_away(reply: Reply) -> bool:
    """Whether the registry could not be reached."""
    return not isinstance(reply, httpx.Response) or reply.status_code in _AWAY
