"""Omissions: rows left out of a configuration, with reasons. The rules are in the modules that make the tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from model_registry.entities.secret_text import mask_secrets


@dataclass(frozen=True, slots=True, order=True)
class Omission:
    """A row that is left out of the configuration."""

    kind: str
    """provider, model, alias, function, variant, section or deployment."""
    name: str
    reason: str
    switched_off: bool = False
    """Whether a person switched it off. Imports bring thousands of these: they are listed, but not in the text."""


DEPLOYMENT = "deployment"
"""The kind that comes and goes without a write."""


def comments(omissions: Iterable[Omission]) -> str:
    """Write omissions as TOML comments, one line each; empty when all are switched off."""
    lines = [_one_line(mask_secrets(f'# {o.kind} "{o.name}": {o.reason}')) for o in omissions if not o.switched_off]
    return "\n".join(["# Left out:", *lines]) + "\n" if lines else ""


def _one_line(text: str) -> str:
    """Escape characters that could end the line or be invisible: control characters, separators, lone surrogates."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
