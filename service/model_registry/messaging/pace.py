"""Retry intervals of a connection to NATS and of its users."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds until a failure is retried, and between looks for a better plan."""

    retry: float = 1.0
    reconnect: float = 0.5
    look_again: float = 5.0


USUAL = Pace()
