"""How long jobs wait between two tries, and before they give a service up. Seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pauses:
    """Of one replica; tests have shorter ones."""

    first: float = 1.0
    longest: float = 10.0
    gone: float = 60.0
    """For how long a service may refuse connections, or know of no training, before it is taken for gone."""

    def after(self, tries: int) -> float:
        """The pause after this number of tries."""
        return float(min(self.longest, self.first * 2 ** min(tries, 16)))
