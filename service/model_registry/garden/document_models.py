"""Translates between an entry of a document's `models` and a row: its id, and its columns.

A field that an entry leaves out or has as null is unknown, and changes nothing. Unknown keys are kept in the metadata,
and are exported again in their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from model_registry.entities.base import NAME_LENGTH
from model_registry.entities.document import DocumentCapabilities, DocumentModel
from model_registry.entities.model import USUAL_CATEGORIES, Model, canonical
from model_registry.entities.model_card import CARD_FIELDS, EMPTY_CARD, known
from model_registry.snapshot.lookup import find_model, splits
from model_registry.snapshot.snapshot import Snapshot

POSITION = "models_registry.json#position"
"""The key of the metadata that holds a model's place, where a document has it elsewhere than it came."""


def place(model: Model) -> tuple[float, str, str]:
    """Return a key that sorts models into the order of their documents: ids of one import rise."""
    position = model.metadata.get(POSITION)
    return position if isinstance(position, int) else inf, model.created_at or "", model.id


def in_document_order(snapshot: Snapshot) -> list[Model]:
    """List models in the order of the newest document that moved them, then in the order in which they came."""
    return sorted(snapshot.models, key=place)


def garden_id(snapshot: Snapshot, model: Model) -> str:
    """Return the id of a model in a document, where no two have the same: what its provider calls it.

    Where several providers offer it, or that is another model's name, it is the model's name; where that is taken too,
    `provider/name`; and in the last resort its row's id.
    """
    provider = snapshot.providers.get(model.provider_id)
    for candidate in (model.model_id, model.name, f"{provider.name}/{model.name}" if provider else model.id):
        if [meant.id for meant in _meant(snapshot, candidate)] == [model.id]:
            return candidate
    return model.id


def find_garden_model(snapshot: Snapshot, reference: str) -> Model:
    """Find a model by its id in a document; else as everywhere. Errors: ModelNotFound, AmbiguousName."""
    meant = _meant(snapshot, reference)
    return meant[0] if len(meant) == 1 else find_model(snapshot, reference)


def _meant(snapshot: Snapshot, reference: str) -> list[Model]:
    """Return the models that an id may stand for, in the order in which ids are given."""
    return (
        snapshot.models.where("model_id", reference)
        or snapshot.models.where("name", reference)
        or [
            model
            for provider, name in splits(reference)
            for model in snapshot.models.where("name", name)
            if any(p.id == model.provider_id for p in snapshot.providers.where("name", provider))
        ]
    )


UNKNOWN = "models_registry.json"
"""The key of the metadata that holds the unknown keys of a document."""

_FLAGS = {name: canonical(name) for name in DocumentCapabilities.model_fields}
_STATUSES = {"stable": "active"}
_WORDS = {ours: theirs for theirs, ours in _STATUSES.items()}
_TYPES = {category: model_type for model_type, category in USUAL_CATEGORIES.items() if model_type != "chat"}
"""Category -> the type of its models. Other categories have models of several types."""

_NULLS: dict[str, tuple[str, ...]] = {
    "quantization": ("method", "type"),
    "requirements": ("min_vram_gb", "recommended_vram_gb", "min_ram_gb"),
    "inference_defaults": ("max_model_len", "dtype", "gpu_memory_utilization", "quantization", "tensor_parallel_size"),
}
"""Keys that readers expect, also without a value."""


_NOTHING: tuple[Any, ...] = ({}, [], {"hyperparameters": {}, "lora_config": {}})
"""Values of unknown facts."""


def status_word(status: str) -> str:
    """Translate a status into Model Garden's word."""
    return _WORDS.get(status, status)


def entry_of(snapshot: Snapshot, model: Model, key: str) -> dict[str, Any]:
    """Write the entry of a model, under this id."""
    provider = snapshot.providers.get(model.provider_id)
    card = EMPTY_CARD | model.card
    flags = {flag: tag in map(canonical, model.capabilities) for flag, tag in _FLAGS.items()}
    entry = {
        "id": key,
        "name": card["display_name"] or _shown(model.name),
        "category": card["category"],
        "provider": provider.name if provider else model.provider_id,
        "base_architecture": card["base_architecture"],
        "parameters": card["parameters"],
        "description": model.description,
        "tags": card["tags"] or [],
        "status": status_word(model.status),
        **{name: dict.fromkeys(keys) | (card[name] or {}) for name, keys in _NULLS.items()},
        "capabilities": flags,
        "training_defaults": {"hyperparameters": {}, "lora_config": {}} | (card["training_defaults"] or {}),
        "urls": card["urls"] or {},
    }
    entry |= {name: value for name, value in _ours(snapshot, model, key, flags).items() if value not in (None, {}, [])}
    entry |= {f: v for f, v in model.card.items() if f not in entry and f != "display_name" and v is not None}
    unknown = model.metadata.get(UNKNOWN)
    return _merged(entry, unknown) if isinstance(unknown, dict) else entry


def _ours(snapshot: Snapshot, model: Model, key: str, flags: Mapping[str, bool]) -> dict[str, Any]:
    """List the fields that Model Garden has no key for, where they differ from the assumed value."""
    aliases = snapshot.aliases.where("model", model.id)
    tags = [_FLAGS[flag] for flag, is_set in flags.items() if is_set]
    assumed = assumed_type(model.card.get("category"), model.capabilities)
    return {
        "registry_name": model.name if model.name != key else None,
        "model_id": model.model_id if model.model_id != key else None,
        "model_type": model.model_type if model.model_type != assumed else None,
        "capability_tags": list(model.capabilities) if model.capabilities != tags else None,
        "context_window": model.context_length,
        "vram_mb": model.vram_mb,
        "routing_priority": model.routing_priority or None,
        "active": None if model.active else False,
        "aliases": [{"alias": a.alias} | ({"context": a.context} if a.context else {}) for a in aliases],
        "tensorzero": model.tensorzero,
        "metadata": {name: value for name, value in model.metadata.items() if name not in {UNKNOWN, POSITION}},
        "field_sources": model.field_sources,
    }


def columns_of(entry: DocumentModel, raw: Mapping[str, Any], old: Model | None) -> dict[str, Any]:
    """Make the columns of an entry's row; `card` holds the known facts.

    Args:
        entry: what was read.
        raw: the same as it came, with what nobody knows.
        old: the row as it is, whose other columns, tags and metadata stay.
    """
    name = entry.registry_name or (old.name if old else entry.id)
    tags = _tags(entry, old)
    unknown = unknown_keys(raw, DocumentModel)
    metadata = (old.metadata if old else {}) | (entry.metadata or {}) | ({UNKNOWN: unknown} if unknown else {})
    columns: dict[str, Any] = {
        "name": name,
        "model_id": entry.model_id or entry.id,
        "model_type": entry.model_type or (None if old else assumed_type(entry.category, tags)),
        "capabilities": tags,
        "context_length": entry.context_window,
        "vram_mb": entry.vram_mb,
        "description": entry.description,
        "routing_priority": entry.routing_priority,
        "tensorzero": entry.tensorzero,
        "metadata": metadata,
        "active": entry.active,
        "status": _STATUSES.get(entry.status, entry.status),
        "field_sources": entry.field_sources,
    }
    columns = {column: value for column, value in columns.items() if value is not None}
    return columns | {"card": _facts(entry, name)}


def _facts(entry: DocumentModel, registry_name: str) -> dict[str, Any]:
    shown = entry.display_name or (entry.name if entry.name != _shown(registry_name) else None)
    facts = known(entry) | ({"display_name": shown} if shown else {})
    return {field: facts[field] for field in CARD_FIELDS if field in facts and facts[field] not in _NOTHING}


def _shown(registry_name: str) -> str:
    """Return the display name of a model without one; display names are shorter."""
    return registry_name[:NAME_LENGTH]


def _tags(entry: DocumentModel, old: Model | None) -> list[str]:
    """Merge flags into the tags: a flag decides about its own tag, other tags stay."""
    flags = {_FLAGS.get(flag, canonical(flag)): is_set for flag, is_set in entry.capabilities.model_dump().items()}
    tags = list(old.capabilities) if old and entry.capability_tags is None else entry.capability_tags or []
    kept = [tag for tag in tags if flags.get(canonical(tag), True)]
    present = set(map(canonical, kept))
    return kept + [tag for tag, is_set in flags.items() if is_set and tag not in present]


def assumed_type(category: str | None, tags: Iterable[str]) -> str:
    """Return the type of a model that has none."""
    return _TYPES.get(category or "", "vl" if "vision" in map(canonical, tags) else "chat")


def unknown_keys(raw: object, shape: object) -> dict[str, Any]:
    """Return the keys of a JSON object that its shape has no field for, at every level."""
    if not isinstance(raw, dict):
        return {}
    if get_origin(shape) is dict:
        inside = {key: unknown_keys(value, get_args(shape)[1]) for key, value in raw.items()}
    elif isinstance(shape, type) and issubclass(shape, BaseModel):
        if shape.model_config.get("extra") == "allow":
            return {}
        fields = shape.model_fields
        inside = {k: unknown_keys(v, fields[k].annotation) if k in fields else v for k, v in raw.items()}
        return {key: value for key, value in inside.items() if key not in fields or value}
    else:  # an optional or an annotated one
        return next((unknown for part in get_args(shape) if (unknown := unknown_keys(raw, part))), {})
    return {key: value for key, value in inside.items() if value}


def _merged(one: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two objects; where both have a value, the first wins."""
    whole = dict(other) | one
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(one.get(key), dict):
            whole[key] = _merged(one[key], value)
    return whole
