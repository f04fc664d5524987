"""Which facts an importer may write into a row. Hand edits win, and importers leave each other's fields alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model_registry.catalog.model_edits import HAND, SOURCED_COLUMNS
from model_registry.entities.model import Model
from model_registry.entities.model_card import CARD_FIELDS
from model_registry.snapshot.difference import same

IMPORTED_FIELDS = frozenset({*SOURCED_COLUMNS, *CARD_FIELDS})
"""What importers fill. Names, extra keys and whether a model is active stay with people."""

NEVER_UNKNOWN = frozenset({"model_type", "capabilities", "status"})
"""Columns that cannot be null: a source that does not know says nothing of them."""

EMPTY: tuple[Any, ...] = (None, "", [], {})
"""What counts as nothing said."""


@dataclass(slots=True)
class Facts:
    """What becomes of the facts of one offer."""

    writes: dict[str, Any] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    """Fields that say something else and stay, and why."""


def source_label(source: str, *, estimated: bool) -> str:
    """What `field_sources` says of a field: who filled it, and whether by working it out."""
    return f"{source} (estimate)" if estimated else source


def current(row: Model, name: str) -> Any:  # noqa: ANN401 (any JSON value)
    """Read a fact of a row: a column, or a field of its card."""
    return getattr(row, name) if name in SOURCED_COLUMNS else row.card.get(name)


def merge_facts(row: Model, told: Mapping[str, Any], source: str) -> Facts:
    """Hold what a source tells against what the row says."""
    facts = Facts()
    own = {source_label(source, estimated=False), source_label(source, estimated=True)}
    for name, value in told.items():
        held = current(row, name)
        owner = row.field_sources.get(name)
        if same(held, value) or (value is None and owner not in own):
            continue
        if owner in own or (owner is None and held in EMPTY):
            facts.writes[name] = value
        else:
            facts.kept[name] = _why(owner, held)
    return facts


def update(facts: Mapping[str, Any], sources: Mapping[str, str]) -> dict[str, Any]:
    """The columns of an update that writes these facts, and where they came from, in one step."""
    columns = {name: value for name, value in facts.items() if name in SOURCED_COLUMNS}
    card = {name: value for name, value in facts.items() if name not in SOURCED_COLUMNS}
    marks = {name: None if value is None else sources[name] for name, value in facts.items()}
    return columns | ({"card_changes": card} if card else {}) | {"field_sources_changes": marks}


def _why(owner: str | None, held: Any) -> str:  # noqa: ANN401 (any JSON value)
    if owner in (None, HAND):
        return "emptied by hand" if held in EMPTY else "set by hand"
    return f"from {owner}"
