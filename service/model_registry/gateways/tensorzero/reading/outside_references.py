"""Collects a configuration's references to files and credentials, in one walk. Checking them is elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from model_registry.gateways.tensorzero.project import Path, Table
from model_registry.gateways.tensorzero.reading.file_keys import file_references
from model_registry.gateways.tensorzero.validation.dummy_credentials import strings


@dataclass(frozen=True, slots=True)
class Survey:
    """A configuration, or a part of it, with its references."""

    tree: Table
    """Do not change it: it may be shared."""
    texts: tuple[tuple[str, str], ...]
    """Values that may be a credential's location, each with its key."""
    references: tuple[tuple[Path, Any], ...]
    """The keys that name files, and their values."""


def surveyed(tree: Table) -> Survey:
    """Walk a configuration.

    Raises:
        RecursionError: it is nested deeper than any real configuration.
    """
    texts = tuple((key, value) for key, value in strings(tree) if "::" in value)
    return Survey(tree, texts, tuple(file_references(tree)))


def together(tree: Table, parts: Iterable[Survey]) -> Survey:
    """Combine the surveys of a configuration's parts."""
    parts = list(parts)
    texts = tuple(text for part in parts for text in part.texts)
    return Survey(tree, texts, tuple(reference for part in parts for reference in part.references))
