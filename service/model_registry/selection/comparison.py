"""Compares models field by field, and finds the best values. Ranking for a request is in `select.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from model_registry.catalog.views import ModelLabel, View, model_label_view, model_view
from model_registry.entities.model import Model
from model_registry.selection.model_numbers import NUMBERS
from model_registry.snapshot.snapshot import Snapshot

_WHOLE = frozenset({"metadata", "tensorzero"})
"""Objects with free keys, compared as a whole."""

_OWN = frozenset({"id", "provider_id", "version", "created_at", "updated_at", "field_sources", "context_length"})
"""Fields of the row rather than the model. `context_length` repeats `context_window`."""


class ComparedField(BaseModel):
    """One field of all compared models."""

    field: str = Field(examples=["cost_per_1m_input_tokens"])
    differs: bool
    values: list[Any] = Field(description="One per model, in their order.")
    unit: str | None = Field(description="Unit of a number.")
    better: Literal["low", "high"] | None
    best: list[int] = Field(description="Positions of the models with the best value, from 0.")


class Comparison(BaseModel):
    """Models side by side."""

    models: list[ModelLabel]
    fields: list[ComparedField] = Field(description="Fields that at least one model has; differing ones first.")


def compare(snapshot: Snapshot, models: Sequence[Model]) -> View:
    """Compare models, in the given order."""
    views = [dict(_flat(model_view(snapshot, model))) for model in models]
    names = {name: None for view in views for name, value in view.items() if value not in (None, [], {})}
    fields = [_field(name, [view.get(name) for view in views]) for name in names if name not in _OWN]
    fields.sort(key=lambda field: not field["differs"])
    return {"models": [model_label_view(snapshot, model) for model in models], "fields": fields}


def _field(name: str, values: list[Any]) -> View:
    number = NUMBERS.get(name)
    known = [value for value in values if isinstance(value, int | float)]
    best: list[int] = []
    if number and number.better and known:
        top = max(known) if number.better == "high" else min(known)
        best = [position for position, value in enumerate(values) if value == top]
    return {
        "field": name,
        "differs": any(value != values[0] for value in values),
        "values": values,
        "unit": number.unit if number else None,
        "better": number.better if number else None,
        "best": best,
    }


def _flat(view: View, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value with its dotted name."""
    for name, value in view.items():
        if isinstance(value, dict) and f"{prefix}{name}" not in _WHOLE:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
