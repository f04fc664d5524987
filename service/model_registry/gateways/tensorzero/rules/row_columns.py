"""Rules of one row's columns: values that rendering would skip or ignore silently.

They apply to inactive rows too, so that activating one brings no surprise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from model_registry.entities.base import Row
from model_registry.entities.function import Function
from model_registry.entities.function import Mapping as MappingRow
from model_registry.entities.json_types import Json
from model_registry.entities.model import Model
from model_registry.entities.provider import Provider
from model_registry.entities.provider_types import PROVIDER_TYPES, ProviderType
from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import MODEL_TABLES, Path, as_table
from model_registry.gateways.tensorzero.rendering.provider_tables import (
    FROM_METADATA,
    metadata_faults,
    model_fault,
    plain,
    provider_fault,
    section_of,
)
from model_registry.gateways.tensorzero.rendering.routes import routing_fault
from model_registry.gateways.tensorzero.rules.functions import FUNCTION_TYPES
from model_registry.gateways.tensorzero.rules.models import EMBEDDING_MODEL, MODEL, provider_shape
from model_registry.gateways.tensorzero.rules.shape import Surroundings, TableOf, refused
from model_registry.gateways.tensorzero.rules.variants import VARIANTS
from model_registry.snapshot.snapshot import Snapshot


def column_faults(snapshot: Snapshot, row: Row, around: Surroundings) -> Iterator[Reason]:
    """Yield the faults of this row by itself."""
    match row:
        case Provider():
            yield from _provider(row, around)
        case Model():
            yield from _model(row, snapshot.providers.get(row.provider_id), around)
        case Function():
            yield from _function(row, around)
        case MappingRow():
            yield from _mapping(row, around)


def _provider(row: Provider, around: Surroundings) -> Iterator[Reason]:
    path = ("model_providers", row.name)
    if row.active and (fault := provider_fault(row)):
        yield refused(path, fault)
    if fault := routing_fault(row):
        yield refused((*path, "route_by"), fault)
    kind = PROVIDER_TYPES.get(row.type)
    if kind is None or kind.gateway_type is None:
        return
    here = (*path, "tensorzero")
    keys = [provider_shape(kind.gateway_type, section).keys for section in MODEL_TABLES]
    either = TableOf({**keys[1], **keys[0]})
    yield from _extras(here, row.tensorzero, either, _named_elsewhere(kind), around)


def _named_elsewhere(kind: ProviderType) -> dict[str, str]:
    named = {"type": "is the provider's type; set it there"}
    if kind.model_key:
        named[kind.model_key] = "is the model's model_id; set it there"
    return named


def _model(row: Model, provider: Provider | None, around: Surroundings) -> Iterator[Reason]:
    path = ("models", row.name)
    here = (*path, "tensorzero")
    section = section_of(row)
    if provider and (fault := model_fault(row, provider)):
        yield refused(path, fault)
    for key, value in row.tensorzero.items():
        if key == "provider_key":
            if not isinstance(value, str | None) or (value or "").startswith("tensorzero::"):
                yield refused((*here, key), "must be a string that does not start with 'tensorzero::'")
        elif key == FROM_METADATA:
            continue
        elif key not in {"provider", "model"}:
            known = f"model, provider, provider_key, {FROM_METADATA}"
            yield refused((*here, key), f"is not a key of this column; known here: {known}")
        elif not isinstance(value, Mapping | None):
            yield refused((*here, key), "must be an object")
    kind = PROVIDER_TYPES.get(provider.type) if provider else None
    if section is None:
        return
    shape = MODEL if section == "models" else EMBEDDING_MODEL
    rows_own = dict.fromkeys(("routing", "providers"), "comes from the rows that share the model's name")
    yield from _extras((*here, "model"), row.tensorzero.get("model"), shape, rows_own, around)
    if kind and kind.gateway_type:
        extras = {**(provider.tensorzero if provider else {}), **as_table(row.tensorzero.get("provider"))}
        yield from (refused((*path, *column), why) for column, why in metadata_faults(row, kind.gateway_type, extras))
        table = provider_shape(kind.gateway_type, section)
        yield from _extras((*here, "provider"), row.tensorzero.get("provider"), table, _named_elsewhere(kind), around)


def _function(row: Function, around: Surroundings) -> Iterator[Reason]:
    here = ("functions", row.name, "tensorzero")
    elsewhere = {"type": "is a column of its own; set it there", "description": "is a column of its own; set it there"}
    extras = {key: value for key, value in row.tensorzero.items() if key != "variants"}
    if row.type in FUNCTION_TYPES:
        yield from _extras(here, extras, FUNCTION_TYPES[row.type], elsewhere, around)
    variants = row.tensorzero.get("variants")
    if not isinstance(variants, Mapping | None):
        yield refused((*here, "variants"), "must be an object")
        return
    for name, table in (variants or {}).items():
        if not isinstance(table, Mapping):
            yield refused((*here, "variants", name), "must be an object")


def _mapping(row: MappingRow, around: Surroundings) -> Iterator[Reason]:
    here = ("service_model_mappings", row.service_name, row.function_name, row.variant_name, "tensorzero")
    kind = row.tensorzero.get("type") or "chat_completion"
    if not isinstance(kind, str) or "model" not in getattr(VARIANTS.get(kind), "keys", ()):
        usable = ", ".join(name for name, shape in VARIANTS.items() if "model" in shape.keys)
        yield refused((*here, "type"), f"must be one of {usable}; a variant without a model belongs to its function")
        return
    elsewhere = {"model": "is the mapping's model_id; set it there", "weight": "is a column of its own; set it there"}
    extras = {key: value for key, value in row.tensorzero.items() if key != "embedding_model"}
    yield from _extras(here, extras, VARIANTS[kind], elsewhere, around)


def _extras(
    path: Path,
    extras: Json,
    shape: TableOf,
    elsewhere: Mapping[str, str],
    around: Surroundings,
) -> Iterator[Reason]:
    """Check extra keys against the shape, and refuse those that other columns set."""
    if not isinstance(extras, Mapping):
        return
    for key in elsewhere.keys() & extras.keys():
        yield refused((*path, key), elsewhere[key])
    rest = {key: value for key, value in plain(dict(extras)).items() if key not in elsewhere}
    yield from shape.partly()(path, rest, around)
