"""Exports the catalogue as one document, reads a document, and plans its import. Pure.

An import merges: models that the document does not name, and facts that it leaves out, stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from model_registry.catalog.field_sources import by_hand
from model_registry.entities.base import Row, json_problem, metadata_bytes, metadata_problem
from model_registry.entities.document import VERSION, Document, DocumentAlias, DocumentProvider
from model_registry.entities.field_errors import dotted, reasons_of
from model_registry.entities.model import Category, CategoryFacts, Model
from model_registry.entities.provider import Provider
from model_registry.entities.unknown_fields import unknown_fields
from model_registry.errors import InvalidModel, Reason
from model_registry.garden.document_models import (
    POSITION,
    columns_of,
    entry_of,
    garden_id,
    in_document_order,
    place,
)
from model_registry.imports.plan import ImportPlan, Planner, ReportEntry, WantedRow
from model_registry.snapshot.difference import same
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
    return ReadDocument(content, raw, tuple(dotted(field.location) for field in unknown_fields(beside, Document)))


def exported(snapshot: Snapshot) -> dict[str, Any]:
    """Export all providers, categories, models and aliases, without the functions and mappings that use them.

    Equal catalogues, equal documents: `last_updated` is when the newest of these rows was written.
    """
    providers = {
        provider.name: columns
        for provider in snapshot.providers
        if (columns := _provider(provider)) or not snapshot.models.where("provider", provider.id)
    }
    models = {key: entry_of(snapshot, m, key) for m in in_document_order(snapshot) if (key := garden_id(snapshot, m))}
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


def refuse(reasons: Sequence[Reason]) -> None:
    """Raise if there are reasons. Errors: InvalidModel, with all of them."""
    if reasons:
        shown = "; ".join(map(str, reasons[:10])) + (f" (and {len(reasons) - 10} more)" if len(reasons) > 10 else "")  # noqa: PLR2004
        raise InvalidModel(f"The document breaks the format of models_registry.json: {shown}", reasons=reasons)


def plan_document(document: ReadDocument, snapshot: Snapshot, new_id: Callable[[], str]) -> ImportPlan:
    """Plan what has to be written so that the registry has the facts of the document.

    Args:
        document: what was read.
        snapshot: the registry as it is.
        new_id: makes the id of a new row.

    Raises:
        InvalidModel: with every key that refers to a missing row, or to the row of another key.
    """
    content = document.content
    planner = Planner(snapshot, new_id)
    for key, category in content.categories.items():
        old = next(iter(snapshot.categories.where("key", key)), None)
        columns = category.model_dump(exclude_unset=old is not None)
        _upsert(planner, "model_categories", "category", key, old, columns if old else {"key": key, **columns})
    providers = _write_providers(planner, document)
    rows = _rows(content, snapshot)
    columns_by_key = {
        key: columns_of(entry, document.raw["models"][key], rows[key]) for key, entry in content.models.items()
    }
    for key, position in _moved(rows).items():
        columns_by_key[key]["metadata"] |= {POSITION: position}
    refuse(
        [
            *_broken_references(content, snapshot, columns_by_key),
            *_clashes(content, snapshot, columns_by_key, rows),
            *_too_large(columns_by_key, rows),
        ]
    )
    for key, entry in content.models.items():
        columns = columns_by_key[key] | {"provider_id": providers[entry.provider]}
        if model := rows[key]:
            columns["card"] = model.card | columns["card"]
        model_id = _upsert(planner, "models", "model", key, model, columns)
        for alias in {(a.alias, a.context): a for a in entry.aliases or ()}.values():
            _write_alias(planner, alias, model_id)
    planner.report.extend(ReportEntry("ignored", "key", place) for place in document.ignored)
    return planner.plan()


def _upsert(planner: Planner, table: str, kind: str, name: str, old: Row | None, columns: dict[str, Any]) -> str:  # noqa: PLR0913, PLR0917 (a row and its entry)
    """Plan a row whose entry in the report lists the fields that change. Return its id."""

    def edit(row: Row, changed: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(row, Model):
            return changed
        edited = by_hand(row, changed)
        # A changed fact has no other source, unless the document names one.
        if "field_sources" in columns:
            edited.pop("field_sources_changes", None)
        return edited

    def describe(row: Row, changed: dict[str, Any]) -> str:
        return ", ".join(_fields(row, changed))

    return planner.upsert(WantedRow(table, kind, name, columns, edit=edit, describe=describe), old)


def _write_providers(planner: Planner, document: ReadDocument) -> dict[str, str]:
    """Plan every provider that the document names; a missing one gets a name and no server. Return name -> id."""
    described = document.content.providers
    ids = {}
    for name in dict.fromkeys([*described, *(model.provider for model in document.content.models.values())]):
        old = next(iter(planner.snapshot.providers.where("name", name)), None)
        columns = described.get(name, DocumentProvider()).model_dump(exclude_unset=old is not None)
        columns = columns if old else {"name": name, **columns}
        ids[name] = _upsert(planner, "model_providers", "provider", name, old, columns)
    return ids


def _write_alias(planner: Planner, alias: DocumentAlias, model_id: str) -> None:
    named = planner.snapshot.aliases.where("alias", alias.alias)
    old = next((row for row in named if row.context == alias.context), None)
    _upsert(planner, "model_aliases", "alias", alias.alias, old, alias.model_dump() | {"model_id": model_id})


def _rows(content: Document, snapshot: Snapshot) -> dict[str, Model | None]:
    """Find the row of each entry: of its provider, by name; else the only one with that `model_id`."""
    named: dict[tuple[str, str], Model] = {}
    called: dict[tuple[str, str], list[Model]] = {}
    names = {provider.id: provider.name for provider in snapshot.providers}
    for model in snapshot.models:
        named[names[model.provider_id], model.name] = model
        called.setdefault((names[model.provider_id], model.model_id), []).append(model)
    rows: dict[str, Model | None] = {}
    for key, entry in content.models.items():
        row = named.get((entry.provider, entry.registry_name or key))
        if row is None and entry.registry_name is None:
            same_model_id = called.get((entry.provider, entry.model_id or key), [])
            row = same_model_id[0] if len(same_model_id) == 1 else None
        rows[key] = row
    return rows


def _moved(rows: Mapping[str, Model | None]) -> dict[str, int]:
    """Return the position of every entry, if the document has the models in another order than the list will have."""
    known = [row for row in rows.values() if row is not None]
    at_the_end = all(row is None for row in list(rows.values())[len(known) :])
    return {} if at_the_end and known == sorted(known, key=place) else {key: at for at, key in enumerate(rows)}


def _broken_references(
    content: Document, snapshot: Snapshot, columns_by_key: Mapping[str, dict[str, Any]]
) -> Iterator[Reason]:
    names = {columns["name"] for columns in columns_by_key.values()}
    categories = content.categories.keys() | {category.key for category in snapshot.categories}
    for key, entry in content.models.items():
        category, successor = entry.category, entry.replaced_by
        if category is not None and category not in categories:
            yield Reason(f"models.{key}.category", f"there is no category {category!r}, here or in the registry")
        if successor is not None and successor not in names and not snapshot.models.where("name", successor):
            yield Reason(f"models.{key}.replaced_by", f"there is no model named {successor!r}, here or in the registry")


def _clashes(
    content: Document,
    snapshot: Snapshot,
    columns_by_key: Mapping[str, dict[str, Any]],
    rows: Mapping[str, Model | None],
) -> Iterator[Reason]:
    """Find entries and aliases that share a row with another one. A model's own name that it has already may stay."""
    models: dict[tuple[str, str], str] = {}
    aliases: dict[tuple[str, str | None], str] = {}
    for key, entry in content.models.items():
        first = models.setdefault((entry.provider, columns_by_key[key]["name"]), key)
        if first != key:
            yield Reason(f"models.{key}", f"is the same model of the same provider as models.{first}")
        for alias in entry.aliases or ():
            row = rows[key]
            held = snapshot.aliases.where("model", row.id) if row is not None else ()
            if alias.alias == columns_by_key[key]["name"] not in {a.alias for a in held}:
                yield Reason(f"models.{key}.aliases", f"{alias.alias!r} is the model's own name")
            if (first := aliases.setdefault((alias.alias, alias.context), key)) != key:
                yield Reason(f"models.{key}.aliases", f"{alias.alias!r} is an alias of models.{first}")


def _too_large(columns_by_key: Mapping[str, dict[str, Any]], rows: Mapping[str, Model | None]) -> Iterator[Reason]:
    """Find metadata that is larger than the limit and than the row's."""
    for key, columns in columns_by_key.items():
        old = rows[key]
        if problem := metadata_problem(columns.get("metadata") or {}, metadata_bytes(old.metadata) if old else 0):
            yield Reason(f"models.{key}.metadata", problem)


def _fields(old: Row | None, changed: dict[str, Any]) -> Iterator[str]:
    for column, value in changed.items():
        if column == "card" and isinstance(old, Model):
            yield from (name for name in value if not same(value[name], old.card.get(name)))
        else:
            yield column
