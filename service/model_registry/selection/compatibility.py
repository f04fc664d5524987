"""The matrix of models and their capabilities."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, Field

from model_registry.catalog.views import ModelLabel, View, is_offered, model_label_view
from model_registry.entities.capability import FLAGS, canonical
from model_registry.entities.model import Model
from model_registry.selection.model_index import ModelIndex
from model_registry.snapshot.snapshot import Snapshot


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
