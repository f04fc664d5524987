"""An edit of a model by hand: which facts of its card change, and that they were not an importer's.

Only what changes is written, so that two people who edit two facts at once both keep theirs. Where a field came from is
remembered, so that importers leave alone what people decided (`imports.py` of this package reads it).
"""

from __future__ import annotations

from typing import Any

from model_registry.entities.json_types import Json
from model_registry.entities.model import Model
from model_registry.entities.model_card import CARD_FIELDS
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
    if sources := {name: source for name, value in changed.items() if (source := _source(model, name, value)) != ""}:
        edit["field_sources_changes"] = sources
    return edit


def _source(model: Model, field: str, value: Json) -> str | None:
    """What to note of the field: nothing said means set by hand; '' for nothing to note."""
    if value in (None, [], ""):
        return HAND
    return None if field in model.field_sources else ""
