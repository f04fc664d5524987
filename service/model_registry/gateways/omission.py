"""What a rendered configuration leaves out, and why. The same for all gateway kinds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Omission:
    """A row, or a part of one, that is left out of the configuration."""

    kind: str
    """provider, model, price, alias, function, variant, setting, section, file or deployment."""
    name: str
    """The row's, with the keys that lead to the part: `answer.fast.json_mode`."""
    reason: str
    switched_off: bool = False
    """Whether it is listed, but not in the text: a person switched it off, and imports bring thousands of these; or
    validation refuses what it needs, and gateways would restart for a comment."""
    instead: str = ""
    """What to do instead, where this kind of gateway cannot have it."""


DEPLOYMENT = "deployment"
"""The kind that comes and goes without a write."""
