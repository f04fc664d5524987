"""A document into the registry: what has to be written so that the registry says what the document says. Pure.

Merging: what the document says becomes so; models it does not name, and facts it leaves out, stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from model_registry.catalog.model_edits import by_hand
from model_registry.entities.base import Row, metadata_bytes, metadata_problem
from model_registry.entities.change import Operation
from model_registry.entities.document import Document, DocumentAlias, DocumentProvider
from model_registry.entities.model import Model
from model_registry.errors import Reason
from model_registry.garden.document import ReadDocument, refuse
from model_registry.garden.document_models import columns_of
from model_registry.snapshot.difference import same
from model_registry.snapshot.snapshot import Snapshot

R = TypeVar("R", bound=Row)

Outcome = Literal["created", "changed", "unchanged", "ignored"]


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """One thing the document says, and what becomes of it."""

    action: Outcome
    kind: str
    name: str
    detail: str = ""


@dataclass(slots=True)
class DocumentPlan:
    """What has to be written, in an order that the database takes; nothing, when the registry says all of it."""

    snapshot: Snapshot
    new_id: Callable[[], str]
    operations: list[Operation] = field(default_factory=list)
    report: list[DocumentEntry] = field(default_factory=list)

    def write(self, table: str, kind: str, name: str, old: Row | None, columns: dict[str, Any]) -> str:
        """A new row, or an update of what differs. Answers its id."""
        row_id = old.id if old else self.new_id()
        if old is None:
            self.operations.append(Operation(table, "insert", row_id, columns))
            self.report.append(DocumentEntry("created", kind, name))
            return row_id
        changed = {column: value for column, value in columns.items() if not same(getattr(old, column), value)}
        if changed:
            edit = _model_edit(old, changed, columns) if isinstance(old, Model) else changed
            self.operations.append(Operation(table, "update", row_id, edit, old.version))
        detail = ", ".join(_fields(old, changed))
        self.report.append(DocumentEntry("changed" if changed else "unchanged", kind, name, detail))
        return row_id


def plan_document(document: ReadDocument, snapshot: Snapshot, new_id: Callable[[], str]) -> DocumentPlan:
    """What it takes for the registry to say what the document says.

    Args:
        document: what was read.
        snapshot: the registry as it is.
        new_id: makes the id of a new row.

    Raises:
        InvalidModel: naming every place that refers to something that is not there, or to what another place is about.
    """
    content = document.content
    plan = DocumentPlan(snapshot, new_id)
    for key, category in content.categories.items():
        old = _first(snapshot.categories.where("key", key))
        columns = category.model_dump(exclude_unset=old is not None)
        plan.write("model_categories", "category", key, old, columns if old else {"key": key, **columns})
    providers = _write_providers(plan, document)
    rows = _rows(content, snapshot)
    wanted = {key: columns_of(entry, document.raw["models"][key], rows[key]) for key, entry in content.models.items()}
    refuse([*_broken_references(content, snapshot, wanted), *_clashes(content, wanted), *_too_large(wanted, rows)])
    for key, entry in content.models.items():
        model_id = _write_model(plan, key, wanted[key] | {"provider_id": providers[entry.provider]}, rows[key])
        for alias in {(a.alias, a.context): a for a in entry.aliases or ()}.values():
            _write_alias(plan, alias, model_id)
    plan.report.extend(DocumentEntry("ignored", "key", place) for place in document.ignored)
    return plan


def _write_providers(plan: DocumentPlan, document: ReadDocument) -> dict[str, str]:
    """Name -> id, of every provider that the document names. Missing ones are made: a name, not a server."""
    said = document.content.providers
    ids = {}
    for name in dict.fromkeys([*said, *(model.provider for model in document.content.models.values())]):
        old = _first(plan.snapshot.providers.where("name", name))
        columns = said.get(name, DocumentProvider()).model_dump(exclude_unset=old is not None)
        ids[name] = plan.write("model_providers", "provider", name, old, columns if old else {"name": name, **columns})
    return ids


def _write_model(plan: DocumentPlan, key: str, columns: dict[str, Any], old: Model | None) -> str:
    if old is not None:
        columns["card"] = old.card | columns["card"]
    return plan.write("models", "model", key, old, columns)


def _write_alias(plan: DocumentPlan, alias: DocumentAlias, model_id: str) -> None:
    held = [a for a in plan.snapshot.aliases.where("alias", alias.alias) if a.context == alias.context]
    columns = alias.model_dump() | {"model_id": model_id}
    plan.write("model_aliases", "alias", alias.alias, _first(held), columns)


def _rows(content: Document, snapshot: Snapshot) -> dict[str, Model | None]:
    """The row that each entry is about: its provider's of that name; else the only one that it calls so."""
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
            fitting = called.get((entry.provider, entry.model_id or key), [])
            row = fitting[0] if len(fitting) == 1 else None
        rows[key] = row
    return rows


def _broken_references(content: Document, snapshot: Snapshot, wanted: Mapping[str, dict[str, Any]]) -> Iterator[Reason]:
    names = {columns["name"] for columns in wanted.values()}
    for key, entry in content.models.items():
        category, heir = entry.category, entry.replaced_by
        if category is not None and category not in content.categories and not _has_category(snapshot, category):
            yield Reason(f"models.{key}.category", f"there is no category {category!r}, here or in the registry")
        if heir is not None and heir not in names and not snapshot.models.where("name", heir):
            yield Reason(f"models.{key}.replaced_by", f"there is no model named {heir!r}, here or in the registry")


def _clashes(content: Document, wanted: Mapping[str, dict[str, Any]]) -> Iterator[Reason]:
    """Two places that are about one row."""
    models: dict[tuple[str, str], str] = {}
    aliases: dict[tuple[str, str | None], str] = {}
    for key, entry in content.models.items():
        first = models.setdefault((entry.provider, wanted[key]["name"]), key)
        if first != key:
            yield Reason(f"models.{key}", f"is the same model of the same provider as models.{first}")
        for alias in entry.aliases or ():
            if (first := aliases.setdefault((alias.alias, alias.context), key)) != key:
                yield Reason(f"models.{key}.aliases", f"{alias.alias!r} is an alias of models.{first}")


def _too_large(wanted: Mapping[str, dict[str, Any]], rows: Mapping[str, Model | None]) -> Iterator[Reason]:
    """Metadata beyond its limit, and beyond what the row has already."""
    for key, columns in wanted.items():
        old = rows[key]
        if problem := metadata_problem(columns.get("metadata") or {}, metadata_bytes(old.metadata) if old else 0):
            yield Reason(f"models.{key}.metadata", problem)


def _model_edit(old: Model, changed: dict[str, Any], columns: dict[str, Any]) -> dict[str, Any]:
    """An edit by hand; who changes a fact is its source, unless the document says who was."""
    edit = by_hand(old, changed)
    if "field_sources" in columns:
        edit.pop("field_sources_changes", None)
    return edit


def _fields(old: Row | None, changed: dict[str, Any]) -> Iterator[str]:
    for column, value in changed.items():
        if column == "card" and isinstance(old, Model):
            yield from (name for name in value if not same(value[name], old.card.get(name)))
        else:
            yield column


def _has_category(snapshot: Snapshot, key: str) -> bool:
    return bool(snapshot.categories.where("key", key))


def _first(rows: Sequence[R]) -> R | None:
    return rows[0] if rows else None
