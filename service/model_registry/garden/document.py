"""Export the catalogue as one document, and read a document. `document_import.py` plans its import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from model_registry.entities.base import json_problem
from model_registry.entities.category import Category, CategoryFacts
from model_registry.entities.document import VERSION, Document, DocumentProvider
from model_registry.entities.invalid_fields import reasons_of
from model_registry.entities.provider import Provider
from model_registry.errors import InvalidModel, Reason
from model_registry.garden.document_models import entry_of, unknown_keys
from model_registry.garden.ids import garden_id
from model_registry.snapshot.snapshot import Snapshot

DOCUMENT_TABLES = ("model_providers", "model_categories", "models", "model_aliases")
"""The tables that a document is made of."""

_IGNORED = frozenset({"$schema"})


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A valid document."""

    content: Document
    raw: Mapping[str, Any]
    """The JSON before validation."""
    ignored: tuple[str, ...]
    """Unknown keys beside the models: they are not kept."""


def read_document(text: bytes | str) -> ReadDocument:
    """Read JSON. Errors: InvalidModel, naming every place that breaks the format."""
    try:
        content = Document.model_validate_json(text, strict=True)
    except ValidationError as error:
        refuse(reasons_of(error))
    raw: dict[str, Any] = from_json(text)
    if problem := json_problem(raw):
        refuse([Reason("", problem)])
    refuse([
        Reason(f"models.{key}.id", f"must be the key it stands under, and is {model.id!r}")
        for key, model in content.models.items()
        if model.id != key
    ])  # fmt: skip
    beside = {name: value for name, value in raw.items() if name != "models" and name not in _IGNORED}
    return ReadDocument(content, raw, tuple(_places(unknown_keys(beside, Document))))


def exported(snapshot: Snapshot) -> dict[str, Any]:
    """Export all providers, categories, models and aliases, without the functions and mappings that use them.

    Equal catalogues, equal documents: `last_updated` is when the newest of these rows was written.
    """
    providers = {
        p.name: columns for p in snapshot.providers if (columns := _provider(p)) or not _has_models(snapshot, p)
    }
    models = {key: entry_of(snapshot, m, key) for m in snapshot.models if (key := garden_id(snapshot, m))}
    return {
        "version": VERSION,
        "last_updated": _last_updated(snapshot),
        "categories": {category.key: category_entry(category) for category in snapshot.categories},
        **({"providers": providers} if providers else {}),
        "models": models,
    }


def _last_updated(snapshot: Snapshot) -> str:
    times = (row.updated_at for name in DOCUMENT_TABLES for row in snapshot.tables[name] if row.updated_at)
    newest = max(map(datetime.fromisoformat, times), default=datetime.fromtimestamp(0, UTC))
    return newest.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def category_entry(category: Category) -> dict[str, Any]:
    """Write the entry of a category."""
    return {name: value for name in CategoryFacts.model_fields if (value := getattr(category, name)) is not None}


def _provider(provider: Provider) -> dict[str, Any]:
    """List the columns that differ from those of a provider that an import creates."""
    plain = DocumentProvider().model_dump()
    return {name: value for name, default in plain.items() if (value := getattr(provider, name)) != default}


def _has_models(snapshot: Snapshot, provider: Provider) -> bool:
    return bool(snapshot.models.where("provider", provider.id))


def _places(unknown: Mapping[str, Any]) -> list[str]:
    inner = {key: _places(value) if isinstance(value, dict) else [] for key, value in unknown.items()}
    return [f"{key}.{place}" if place else key for key, places in inner.items() for place in places or [""]]


def refuse(reasons: Sequence[Reason]) -> None:
    """Raise if there are reasons. Errors: InvalidModel, with all of them."""
    if reasons:
        shown = "; ".join(map(str, reasons[:10])) + (f" (and {len(reasons) - 10} more)" if len(reasons) > 10 else "")  # noqa: PLR2004
        raise InvalidModel(f"The document breaks the format of models_registry.json: {shown}", reasons=reasons)
