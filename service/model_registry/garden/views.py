"""The catalogue as Model Garden's programs see it: rows for a list, one model in full, whether it fits a use."""

from __future__ import annotations

from typing import Any

from model_registry.catalog.views import is_offered
from model_registry.entities.fitness import FitnessResult, Hardware, Use, check_fitness, unknown_model
from model_registry.entities.gpu_memory import TrainingSettings
from model_registry.entities.model import Model, flags
from model_registry.errors import AmbiguousName, ModelNotFound
from model_registry.garden.document_models import entry_of, find_garden_model, garden_id, status_word
from model_registry.selection.filter_values import known
from model_registry.snapshot.snapshot import Snapshot

View = dict[str, Any]


def garden_models(snapshot: Snapshot, category: str | None = None) -> list[View]:
    """All models, or those of a category. Errors: Invalid (no such category)."""
    if category is not None:
        known("category", category, [c.key for c in snapshot.categories])
    return [_row(snapshot, m) for m in snapshot.models if category in (None, m.card.get("category"))]


def _row(snapshot: Snapshot, model: Model) -> View:
    provider = snapshot.providers.get(model.provider_id)
    card = model.card
    return {
        "id": garden_id(snapshot, model),
        "name": card.get("display_name") or model.name,
        "category": card.get("category"),
        "provider": provider.name if provider else None,
        "base_architecture": card.get("base_architecture"),
        "parameters": card.get("parameters"),
        "description": model.description,
        "tags": card.get("tags") or [],
        "status": status_word(model.status),
        **_summary(snapshot, model),
    }


def garden_model(snapshot: Snapshot, reference: str) -> View:
    """One model with everything that is known of it. Errors: ModelNotFound, AmbiguousName."""
    model = find_garden_model(snapshot, reference)
    return entry_of(snapshot, model, garden_id(snapshot, model)) | _summary(snapshot, model)


def _summary(snapshot: Snapshot, model: Model) -> View:
    requirements = model.card.get("requirements") or {}
    return {
        "is_vision": flags(model.capabilities)["vision"],
        "is_quantized": (model.card.get("quantization") or {}).get("method") is not None,
        "min_vram_gb": requirements.get("min_vram_gb"),
        "recommended_vram_gb": requirements.get("recommended_vram_gb"),
        "offered": is_offered(snapshot, model),
    }


def garden_categories(snapshot: Snapshot) -> dict[str, View]:
    """Categories by key."""
    return {c.key: {"name": c.name, "description": c.description, "icon": c.icon} for c in snapshot.categories}


def garden_fitness(
    snapshot: Snapshot, reference: str, use: Use, hardware: Hardware, training: TrainingSettings | None = None
) -> FitnessResult:
    """Whether a model may be used so; one that is not there may not."""
    try:
        model = find_garden_model(snapshot, reference)
    except (ModelNotFound, AmbiguousName) as error:
        return unknown_model(error.message)
    provider = snapshot.providers.get(model.provider_id)
    active = model.active and provider is not None and provider.active
    entry = entry_of(snapshot, model, garden_id(snapshot, model)) | {"active": active}
    served = provider is not None and provider.type != "custom"
    return check_fitness(entry, use, hardware, served=served, training=training)
