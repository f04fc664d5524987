"""Models by capabilities, as a matrix."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, Field

from model_registry.catalog.views import ModelLabel, View, is_offered, model_label_view
from model_registry.entities.capability import FLAGS, canonical
from model_registry.entities.model import Model
from model_registry.selection.model_index import ModelIndex
from model_registry.snapshot.snapshot import Snapshot


class CompatibilityRow(ModelLabel):
    """What one model can do."""

    model_type: str
    status: str
    offered: bool
    supports: list[bool] = Field(description="For each of `capabilities`.")


class Compatibility(BaseModel):
    """The matrix."""

    capabilities: list[str] = Field(description="The columns: the well-known ones, then all others by name.")
    items: list[CompatibilityRow]
    count: int


def columns(index: ModelIndex) -> list[str]:
    """Every capability of the catalogue, by its one name."""
    return [*FLAGS, *sorted(index.keys("capability") - set(FLAGS))]


def compatibility_row(snapshot: Snapshot, model: Model, capabilities: Sequence[str]) -> View:
    """What one model can do."""
    held = {canonical(tag) for tag in model.capabilities}
    return model_label_view(snapshot, model) | {
        "model_type": model.model_type,
        "status": model.status,
        "offered": is_offered(snapshot, model),
        "supports": [capability in held for capability in capabilities],
    }
