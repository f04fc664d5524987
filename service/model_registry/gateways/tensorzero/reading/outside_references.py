"""What a configuration names that is outside of itself: files and credentials. Walked once, whoever asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from model_registry.gateways.tensorzero.project import Path, Table
from model_registry.gateways.tensorzero.reading.file_keys import file_references
from model_registry.gateways.tensorzero.validation.dummy_credentials import strings


@dataclass(frozen=True, slots=True)
class Survey:
    """A configuration, or a part of it, and what is in it."""

    tree: Table
    """May be shared: not to be changed."""
    texts: tuple[tuple[str, str], ...]
    """The texts that may be where a credential is, each with its key."""
    references: tuple[tuple[Path, Any], ...]
    """The keys that name files, and what they say."""


def surveyed(tree: Table) -> Survey:
    """Walk a configuration.

    Raises:
        RecursionError: it is nested deeper than any configuration is.
    """
    texts = tuple((key, value) for key, value in strings(tree) if "::" in value)
    return Survey(tree, texts, tuple(file_references(tree)))


def together(tree: Table, parts: Iterable[Survey]) -> Survey:
    """The parts of a configuration as one."""
    parts = list(parts)
    texts = tuple(text for part in parts for text in part.texts)
    return Survey(tree, texts, tuple(reference for part in parts for reference in part.references))
