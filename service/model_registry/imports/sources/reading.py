"""What a reader makes of its input."""

from __future__ import annotations

from dataclasses import dataclass

from model_registry.entities.offer import Offer


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Something that is no offer, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class SourceContent:
    """The offers that a source makes, and what of it says nothing to a registry of models."""

    offers: tuple[Offer, ...]
    passed_over: tuple[PassedOver, ...] = ()
