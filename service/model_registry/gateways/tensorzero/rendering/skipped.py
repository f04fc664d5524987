"""What a configuration leaves out, and why. Only the words and their shape; the rules are where the tables are made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from model_registry.entities.secret_text import mask_secrets


@dataclass(frozen=True, slots=True, order=True)
class Omission:
    """Something of the registry that is not in the configuration."""

    kind: str
    """provider, model, alias, function, variant, section or deployment."""
    name: str
    reason: str
    switched_off: bool = False
    """Somebody has decided so. An import brings thousands of these: they are listed, and leave no trace in the text."""


DEPLOYMENT = "deployment"
"""The kind that comes and goes by itself."""


def comments(omissions: Iterable[Omission]) -> str:
    """As TOML comments, one line each, whatever the names hold; nothing where nothing is worth a line."""
    lines = [_one_line(mask_secrets(f'# {o.kind} "{o.name}": {o.reason}')) for o in omissions if not o.switched_off]
    return "\n".join(["# Left out:", *lines]) + "\n" if lines else ""


def _one_line(text: str) -> str:
    """Escape what could end the line or hide in it: control characters, line separators, lone surrogates."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
