"""The catalogue as Model Garden's programs see it: rows for a list, one model in full, whether it fits a use."""

from __future__ import annotations

from typing import Any

from model_registry.catalog.views import is_offered
from model_registry.entities.fitness import FitnessResult, Hardware, Use, check_fitness, unknown_model
from model_registry.entities.gpu_memory import TrainingSettings
from model_registry.entities.model import EXTRA_CATEGORIES, Model, flags
from model_registry.errors import AmbiguousName, ModelNotFound
from model_registry.garden.document_models import (
    entry_of,
    find_garden_model,
    garden_id,
    in_document_order,
    status_word,
)
from model_registry.snapshot.snapshot import Snapshot

View = dict[str, Any]


def garden_models(snapshot: Snapshot, category: str | None = None) -> list[View]:
    """All models, or those of a category, in the order of their document. An unknown category has none.

    Programs of Model Garden expect an empty list, where the registry's own lists refuse the value.
    """
    return [_row(snapshot, m) for m in in_document_order(snapshot) if category in (None, m.card.get("category"))]


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
    """One model with everything that is known of it. Errors: ModelNotFound, AmbiguousName.

    Programs start servers with these numbers: where a document has none, they are those of Model Garden's classes.
    """
    model = find_garden_model(snapshot, reference)
    entry = entry_of(snapshot, model, garden_id(snapshot, model))
    needs, serving = entry["requirements"], entry["inference_defaults"]
    entry["requirements"] = needs | {"min_gpus": needs.get("min_gpus") or 1}
    entry["inference_defaults"] = serving | {"tensor_parallel_size": serving.get("tensor_parallel_size") or 1}
    return entry | _summary(snapshot, model)


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
    """Categories by key. The registry's extra ones are there only where a model uses them."""
    unused = EXTRA_CATEGORIES - {model.card.get("category") for model in snapshot.models}
    return {
        c.key: {"name": c.name, "description": c.description, "icon": c.icon}
        for c in snapshot.categories
        if c.key not in unused
    }


def garden_fitness(
    snapshot: Snapshot, reference: str, use: Use, hardware: Hardware, training: TrainingSettings | None = None
) -> FitnessResult:
    """Whether a model may be used so; one that is not there may not."""
    try:
        model = find_garden_model(snapshot, reference)
    except ModelNotFound:
        return unknown_model(f"Model {reference!r} not found in the registry.")
    except AmbiguousName as error:
        return unknown_model(error.message)
    provider = snapshot.providers.get(model.provider_id)
    active = model.active and provider is not None and provider.active
    entry = entry_of(snapshot, model, garden_id(snapshot, model)) | {"active": active}
    served = provider is not None and provider.type != "custom"
    return check_fitness(entry, use, hardware, served=served, training=training)
