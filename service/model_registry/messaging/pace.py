"""How soon a connection to NATS, and what hangs on it, tries again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds after which what went wrong is tried again, and what could be better is looked for."""

    retry: float = 1.0
    reconnect: float = 0.5
    look_again: float = 5.0


USUAL = Pace()
