"""The result of reading a source. The sources themselves are in the other files."""

from __future__ import annotations

from dataclasses import dataclass

from model_registry.entities.offer import Offer


@dataclass(frozen=True, slots=True)
class PassedOver:
    """An entry that is no offer, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class SourceContent:
    """The offers of a source, and its entries that are none."""

    offers: tuple[Offer, ...]
    passed_over: tuple[PassedOver, ...] = ()
