"""The kinds of rows that people edit, each with what editing it takes; and the operations that edits become. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from model_registry.catalog import gateways, sources, views
from model_registry.catalog.field_sources import by_hand
from model_registry.catalog.request_models import (
    AliasBody,
    CategoryBody,
    ConfigFileBody,
    ConfigSectionBody,
    FunctionBody,
    GatewayBody,
    MappingBody,
    ModelBody,
    ModelServiceBody,
    ProviderBody,
    RequestModel,
    SourceBody,
)
from model_registry.entities.base import STORED_METADATA, Row, metadata_bytes
from model_registry.entities.change import Operation
from model_registry.entities.config import ConfigFile, ConfigSection
from model_registry.entities.field_errors import reasons_of
from model_registry.entities.function import Function, Mapping
from model_registry.entities.gateway import Gateway
from model_registry.entities.model import Category
from model_registry.entities.model_card import CARD_FIELDS
from model_registry.entities.model_service import ModelService
from model_registry.entities.provider import DESCRIPTION
from model_registry.errors import AlreadyExists, InUse, Invalid, InvalidModel
from model_registry.snapshot.lookup import (
    find_alias,
    find_category,
    find_file,
    find_function,
    find_gateway,
    find_mapping,
    find_model,
    find_model_service,
    find_provider,
    find_section,
    find_source,
)
from model_registry.snapshot.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of row that people edit."""

    name: str
    plural: str
    table: str
    body: type[RequestModel]
    view_shape: type[BaseModel]
    find: Callable[[Snapshot, str], Any]
    view: Callable[[Snapshot, Any], views.View] = views.row_view
    referrers: Callable[[Snapshot, Any], Iterable[str]] = lambda _snapshot, _row: ()
    """What refers to the row, in words."""
    twins: Callable[[Snapshot, dict[str, Any]], Iterable[Row]] = lambda _snapshot, _columns: ()
    """The rows that have the unique key of these columns."""
    key: tuple[str, ...] = ("name",)
    """The columns of the unique key, for messages."""
    replaces: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Columns, and the other fields of the body that set the same."""
    parts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Columns, and the fields of the body that set a part of them. The rest of the column stays."""
    invalid: type[Invalid] = Invalid
    fields: Callable[[Any], dict[str, Any]] = lambda row: row.model_dump()
    """The row as fields of its body."""
    edit: Callable[[Any, dict[str, Any]], dict[str, Any]] = lambda _row, columns: columns
    """What an edit of the row writes of these columns."""

    @property
    def one(self) -> str:
        """The name with its article."""
        return f"an {self.name}" if self.name[0] in "aeiou" else f"a {self.name}"


def insert(resource: Resource, snapshot: Snapshot, body: RequestModel, row_id: str) -> Operation:
    """A new row. Errors: AlreadyExists."""
    return Operation(resource.table, "insert", row_id, _columns(resource, snapshot, row_id, body))


def replace(resource: Resource, snapshot: Snapshot, row: Row, body: RequestModel) -> Operation:
    """The whole row anew, unless someone changed it meanwhile. Errors: AlreadyExists."""
    columns = _columns(resource, snapshot, row.id, body)
    return Operation(resource.table, "update", row.id, resource.edit(row, columns), row.version)


def change(resource: Resource, snapshot: Snapshot, row: Row, fields: dict[str, Any]) -> Operation:
    """Some fields of the row; the others stay. Errors: the resource's Invalid, with every bad field; AlreadyExists."""
    kept = {name: value for name, value in resource.fields(row).items() if name in resource.body.model_fields}
    named = set(fields)
    for column, others in resource.replaces:
        if named & {column, *others}:
            kept.pop(column, None)
            named.add(column)
    named.update(column for column, parts in resource.parts if named.intersection(parts))
    try:
        # Larger metadata that an older release kept stays, or shrinks.
        context = {STORED_METADATA: metadata_bytes(getattr(row, "metadata", {}))}
        body = resource.body.model_validate(kept | fields, context=context)
    except ValidationError as error:
        reasons = reasons_of(error)
        message = f"The change would make the {resource.name} invalid: {'; '.join(map(str, reasons))}."
        raise resource.invalid(message, reasons=reasons) from error
    # Only what was named is written: what somebody else changes at the same time stays changed.
    columns = {name: value for name, value in _columns(resource, snapshot, row.id, body).items() if name in named}
    return Operation(resource.table, "update", row.id, resource.edit(row, columns), row.version)


def delete(resource: Resource, snapshot: Snapshot, row: Row) -> Operation:
    """Delete the row. Errors: InUse, naming the rows that refer to it."""
    if referrers := list(resource.referrers(snapshot, row)):
        named = ", ".join(referrers[:20]) + (f" and {len(referrers) - 20} more" if len(referrers) > 20 else "")  # noqa: PLR2004
        message = f"The {resource.name} is still used by {named}. Delete or change those first."
        raise InUse(message, referrers=referrers[:20])
    return Operation(resource.table, "delete", row.id, version=row.version)


def _columns(resource: Resource, snapshot: Snapshot, row_id: str, body: RequestModel) -> dict[str, Any]:
    """What the body makes of the row. The database has the same keys; here it is known which row is in the way."""
    columns = body.columns(snapshot)
    for other in resource.twins(snapshot, columns):
        if other.id != row_id:
            name = "" if len(resource.key) > 1 or "provider_id" in columns else str(columns[resource.key[0]])
            called = name if re.fullmatch(r"[\w.-]+", name, re.ASCII) else other.id
            raise AlreadyExists(
                f"{resource.one.capitalize()} with {_key(resource, snapshot, columns)} already exists. "
                f"Change it with PATCH /api/{resource.plural}/{called}."
            )
    return columns


def _key(resource: Resource, snapshot: Snapshot, columns: dict[str, Any]) -> str:
    values = {name: columns[name] for name in resource.key if columns[name] is not None}
    if (provider := snapshot.providers.get(columns.get("provider_id"))) is not None:
        values["provider"] = provider.name
    return " and ".join(f"{name} {value!r}" for name, value in values.items())


def _users_of(snapshot: Snapshot, model: Row) -> Iterable[str]:
    yield from (f"the alias {a.alias}" for a in snapshot.aliases.where("model", model.id))
    yield from map(_mapping, snapshot.mappings.where("model", model.id))


def _variants_of(snapshot: Snapshot, function: Function) -> Iterable[str]:
    return map(_mapping, snapshot.mappings.where("function", (function.service_name, function.function_name)))


def _mapping(m: Mapping) -> str:
    return f"the mapping {m.service_name}/{m.function_name}/{m.variant_name}"


def _functions_named(snapshot: Snapshot, columns: dict[str, Any]) -> Iterable[Row]:
    yield from snapshot.functions.where("key", (columns["service_name"], columns["function_name"]))
    yield from (row for row in snapshot.functions.where("name", columns["name"]) if row.gateway == columns["gateway"])


def _mappings_named(snapshot: Snapshot, columns: dict[str, Any]) -> Iterable[Row]:
    variants = snapshot.mappings.where("function", (columns["service_name"], columns["function_name"]))
    return (m for m in variants if m.variant_name == columns["variant_name"])


PROVIDER = Resource(
    "provider",
    "providers",
    "model_providers",
    ProviderBody,
    views.ProviderView,
    find_provider,
    views.provider_view,
    referrers=lambda snapshot, row: (f"the model {m.name}" for m in snapshot.models.where("provider", row.id)),
    twins=lambda snapshot, new: snapshot.providers.where("name", new["name"]),
    parts=(("metadata", ("description",)),),
    fields=lambda row: row.model_dump() | {"metadata": {k: v for k, v in row.metadata.items() if k != DESCRIPTION}},
)
MODEL = Resource(
    "model",
    "models",
    "models",
    ModelBody,
    views.ModelView,
    find_model,
    views.model_view,
    referrers=_users_of,
    twins=lambda snapshot, new: (
        m for m in snapshot.models.where("name", new["name"]) if m.provider_id == new["provider_id"]
    ),
    replaces=(
        ("provider_id", ("provider", "provider_name")),
        ("context_length", ("context_window",)),
        ("card", CARD_FIELDS),
    ),
    invalid=InvalidModel,
    fields=lambda model: model.model_dump() | model.card,
    edit=by_hand,
)
CATEGORY = Resource(
    "category",
    "categories",
    "model_categories",
    CategoryBody,
    Category,
    find_category,
    referrers=lambda snapshot, row: (
        f"the model {m.name}" for m in snapshot.models if m.card.get("category") == row.key
    ),
    twins=lambda snapshot, new: snapshot.categories.where("key", new["key"]),
    key=("key",),
)
ALIAS = Resource(
    "alias",
    "aliases",
    "model_aliases",
    AliasBody,
    views.AliasView,
    find_alias,
    views.alias_view,
    twins=lambda snapshot, new: (
        a for a in snapshot.aliases.where("alias", new["alias"]) if a.context == new["context"]
    ),
    replaces=(("model_id", ("model",)),),
    key=("alias", "context"),
)
FUNCTION = Resource(
    "function",
    "functions",
    "functions",
    FunctionBody,
    Function,
    find_function,
    referrers=_variants_of,
    twins=_functions_named,
    key=("service_name", "function_name"),
)
MAPPING = Resource(
    "mapping",
    "mappings",
    "service_model_mappings",
    MappingBody,
    views.MappingView,
    find_mapping,
    views.mapping_view,
    twins=_mappings_named,
    replaces=(("model_id", ("model",)),),
    key=("service_name", "function_name", "variant_name"),
)
MODEL_SERVICE = Resource(
    "model service",
    "model-services",
    "model_services",
    ModelServiceBody,
    ModelService,
    find_model_service,
    referrers=lambda snapshot, row: (
        f"the instance {i.service_id}" for i in snapshot.instances.where("model_service", row.id)
    ),
    twins=lambda snapshot, new: snapshot.model_services.where("type", new["model_type"].lower()),
    key=("model_type",),
)
SOURCE = Resource(
    "source",
    "sources",
    "model_sources",
    SourceBody,
    sources.SourceView,
    find_source,
    sources.source_view,
    referrers=sources.makers,
    twins=lambda snapshot, new: snapshot.sources.where("name", new["name"]),
    edit=sources.edited_source,
)
GATEWAY = Resource(
    "gateway",
    "gateways",
    "gateways",
    GatewayBody,
    Gateway,
    find_gateway,
    referrers=gateways.content_owned_by,
    twins=lambda snapshot, new: snapshot.gateways.where("name", new["name"]),
    edit=gateways.edited_gateway,
)
FILE = Resource("file", "files", "config_files", ConfigFileBody, ConfigFile, find_file)
SECTION = Resource("section", "sections", "config_sections", ConfigSectionBody, ConfigSection, find_section)

RESOURCES = (PROVIDER, CATEGORY, MODEL, ALIAS, FUNCTION, MAPPING)
"""The catalogue."""
EDITED = (*RESOURCES, MODEL_SERVICE, SOURCE, GATEWAY)
"""All that have routes of their own below /api."""
