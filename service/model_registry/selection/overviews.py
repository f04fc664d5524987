"""Overviews of models: field by field, by capability, and in numbers. Ranking for a request is in `select.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from model_registry.catalog.views import ModelLabel, View, is_offered, model_label_view, model_view
from model_registry.entities.model import FLAGS, Model, canonical
from model_registry.selection.model_index import ModelIndex
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


class CompatibilityRow(ModelLabel):
    """The capabilities of one model."""

    model_type: str
    status: str
    offered: bool
    supports: list[bool] = Field(description="One per entry of `capabilities`.")


class Compatibility(BaseModel):
    """The matrix of models and capabilities."""

    capabilities: list[str] = Field(description="The columns: well-known capabilities, then all others by name.")
    items: list[CompatibilityRow]
    count: int


def columns(index: ModelIndex) -> list[str]:
    """Return the canonical name of every capability in the catalogue."""
    return [*FLAGS, *sorted(index.keys("capability") - set(FLAGS))]


def compatibility_row(snapshot: Snapshot, model: Model, capabilities: Sequence[str]) -> View:
    """Make one row of the matrix."""
    supported = {canonical(tag) for tag in model.capabilities}
    return model_label_view(snapshot, model) | {
        "model_type": model.model_type,
        "status": model.status,
        "offered": is_offered(snapshot, model),
        "supports": [capability in supported for capability in capabilities],
    }


_FIELDS = {
    "by_status": "status",
    "by_type": "model_type",
    "by_category": "category",
    "by_capability": "capability",
    "by_tag": "tag",
}


class Spread(BaseModel):
    """The range of a number over the models where it is known."""

    unit: str
    known: int
    min: float
    median: float = Field(description="For an even number of models, the lower of the two middle values.")
    max: float


class ModelStats(BaseModel):
    """Statistics of the catalogue."""

    total: int
    offered: int = Field(description="Selectable models: active, at an active provider, with an offered status.")
    by_status: dict[str, int]
    by_type: dict[str, int]
    by_category: dict[str, int]
    by_provider: dict[str, int] = Field(description="By the provider's name, including providers without models.")
    by_capability: dict[str, int]
    by_tag: dict[str, int]
    numbers: dict[str, Spread] = Field(description="By the number's name, without numbers that no model has.")


def model_stats(snapshot: Snapshot, index: ModelIndex) -> View:
    """Compute the statistics. Counts are sorted by frequency, then by name."""
    providers = {p.name: index.where("provider", p.id).bit_count() for p in snapshot.providers}
    return {
        "total": len(index.rows),
        "offered": index.offered().bit_count(),
        **{name: _counts(index, field) for name, field in _FIELDS.items()},
        "by_provider": _ordered(providers),
        "numbers": {name: spread for name in NUMBERS if (spread := _spread(index, name))},
    }


def _counts(index: ModelIndex, field: str) -> dict[str, int]:
    return _ordered({key: index.where(field, key).bit_count() for key in index.keys(field)})


def _ordered(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _spread(index: ModelIndex, name: str) -> View | None:
    values = sorted(index.select(index.known(name), index.numbers(name)))
    if not values:
        return None
    middle = values[(len(values) - 1) // 2]
    return {"unit": NUMBERS[name].unit, "known": len(values), "min": values[0], "median": middle, "max": values[-1]}
