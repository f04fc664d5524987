"""Statistics of the catalogue: counts by kind, and the ranges of models' numbers."""

from __future__ import annotations

from pydantic import BaseModel, Field

from model_registry.catalog.views import View
from model_registry.selection.model_index import ModelIndex
from model_registry.selection.model_numbers import NUMBERS
from model_registry.snapshot.snapshot import Snapshot

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
