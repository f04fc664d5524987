"""What the value of a filter means. One that no row has and no list knows is refused, with the nearest known one."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from typing import get_args

from model_registry.entities.model import CAPABILITIES, MODEL_TYPE_SYNONYMS, ModelType, canonical
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.entities.spelling import listed, question
from model_registry.errors import Invalid, Reason
from model_registry.selection.model_index import ModelIndex
from model_registry.snapshot.lookup import as_uuid
from model_registry.snapshot.snapshot import Snapshot


def known(name: str, value: str, allowed: Collection[str]) -> str:
    """Return the value of a filter. Errors: Invalid, when it is unknown, with the nearest and the allowed ones."""
    if value not in allowed:
        ordered = sorted(allowed) if isinstance(allowed, AbstractSet) else list(allowed)
        rest = f".{question(value, ordered)} Allowed: {listed(ordered)}." if ordered else ": there are none yet."
        message = f"Unknown {name} {value!r}{rest}"
        raise Invalid(message, reasons=[Reason(name, message)], allowed=ordered)
    return value


def provider_ids(snapshot: Snapshot, value: str, parameter: str) -> set[str]:
    """Return the ids of one provider by id or name, or of all of a type, in any case. Errors: Invalid."""
    row_id, word = as_uuid(value), value.casefold()
    ids = {p.id for p in snapshot.providers if word in (p.name.casefold(), p.type) or p.id == row_id}
    if not ids and word not in PROVIDER_TYPES:
        known(parameter, value, (*(p.name for p in snapshot.providers), *PROVIDER_TYPES))
    return ids


def model_type(value: str, parameter: str) -> str:
    """Return the model type for a name or synonym. Errors: Invalid."""
    canonical_type = MODEL_TYPE_SYNONYMS.get(value.lower(), value.lower())
    if canonical_type not in get_args(ModelType):
        known(parameter, value, (*get_args(ModelType), *MODEL_TYPE_SYNONYMS))
    return canonical_type


def category(snapshot: Snapshot, index: ModelIndex, value: str, parameter: str) -> str:
    """Check that a category exists or that a model names it. Errors: Invalid."""
    return known(parameter, value, sorted({c.key for c in snapshot.categories} | index.keys("category")))


def capability(index: ModelIndex, value: str, parameter: str) -> str:
    """Return the canonical name of a capability that is well known, or that a model has. Errors: Invalid."""
    name = canonical(value)
    if name not in CAPABILITIES and name not in index.keys("capability"):
        known(parameter, value, CAPABILITIES | index.keys("capability"))
    return name
