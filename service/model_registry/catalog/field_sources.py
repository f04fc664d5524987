"""Where the fields of a model come from: what an edit by hand notes, and what an importer may write.

Hand edits win, and importers keep off each other's fields. Only what changes is written, so that two people who edit
two facts at once both keep theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model_registry.entities.json_types import Json
from model_registry.entities.model import Model
from model_registry.entities.model_card import CARD_FIELDS
from model_registry.entities.offer import ESTIMATE
from model_registry.snapshot.difference import same

HAND = "hand"
"""The source of a field that was emptied by hand: no importer fills it again."""

SOURCED_COLUMNS = ("model_type", "capabilities", "vram_mb", "context_length", "description", "status")
"""Columns that importers fill too, beside the card."""


def by_hand(model: Model, columns: dict[str, Any]) -> dict[str, Any]:
    """The same edit, with the card's and the sources' changes in place of the whole card."""
    edit = dict(columns)
    card = edit.pop("card", None)
    changed = {name: edit[name] for name in SOURCED_COLUMNS if name in edit and edit[name] != getattr(model, name)}
    if card is not None:
        facts = {f: card.get(f) for f in CARD_FIELDS if not same(card.get(f), model.card.get(f))}
        changed |= facts
        if facts:
            edit["card_changes"] = facts
    emptied = {name: HAND for name, value in changed.items() if value in (None, [], "")}
    # A field that was set by hand has no source.
    if sources := {name: emptied.get(name) for name in changed if name in emptied or name in model.field_sources}:
        edit["field_sources_changes"] = sources
    return edit


IMPORTED_FIELDS = frozenset({*SOURCED_COLUMNS, *CARD_FIELDS})
"""Fields that importers fill. Names, extra keys and `active` stay with people."""

NEVER_UNKNOWN = frozenset({"model_type", "capabilities", "status"})
"""Columns that cannot be null: a source without a value leaves them out."""

EMPTY: tuple[Any, ...] = (None, "", [], {})
"""Values that mean unknown."""


def source_label(source: str, *, estimated: bool) -> str:
    """Make an entry of `field_sources`: the importer, and whether the value is an estimate."""
    return f"{source}{ESTIMATE}" if estimated else source


def fact(row: Model, name: str) -> Json:
    """Read a fact of a row: a column, or a field of its card."""
    return getattr(row, name) if name in SOURCED_COLUMNS else row.card.get(name)


def merge_facts(row: Model, offered: Mapping[str, Any], source: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Compare the facts of an offer with a row: which are written, and which differ and stay, with the reason."""
    writes: dict[str, Any] = {}
    kept: dict[str, str] = {}
    own = {source_label(source, estimated=False), source_label(source, estimated=True)}
    for name, value in offered.items():
        value_now = fact(row, name)
        owner = row.field_sources.get(name)
        if same(value_now, value) or (value is None and owner not in own):
            continue
        if owner in own or (owner is None and value_now in EMPTY):
            writes[name] = value
        else:
            kept[name] = _why(owner, value_now)
    return writes, kept


def written_with_sources(facts: Mapping[str, Any], sources: Mapping[str, str]) -> dict[str, Any]:
    """Make the columns of an update that writes these facts together with their sources."""
    columns = {name: value for name, value in facts.items() if name in SOURCED_COLUMNS}
    card = {name: value for name, value in facts.items() if name not in SOURCED_COLUMNS}
    marks = {name: None if value is None else sources[name] for name, value in facts.items()}
    return columns | ({"card_changes": card} if card else {}) | {"field_sources_changes": marks}


def _why(owner: str | None, value_now: object) -> str:
    if owner in (None, HAND):
        return "emptied by hand" if value_now in EMPTY else "set by hand"
    return f"from {owner}"
