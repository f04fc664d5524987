"""Filters of lists, and the order of lists of models.

An unknown value is an error that lists the allowed ones, never an empty list.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, get_args

from pydantic import Field, StringConstraints

from model_registry.entities.base import MAX_INT32
from model_registry.entities.deployment import DEPLOYMENT_STATUSES, Deployment
from model_registry.entities.function import Function, Mapping
from model_registry.entities.model import (
    Alias,
    Model,
    ModelStatus,
    canonical,
)
from model_registry.entities.numbers import StrictNumbers
from model_registry.entities.provider import Provider
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.errors import Invalid, ModelNotFound, Reason
from model_registry.selection.filter_values import capability, category, known, model_type, provider_ids
from model_registry.selection.model_index import Mask, ModelIndex
from model_registry.selection.model_numbers import SORTABLE, sorting
from model_registry.snapshot.lookup import as_uuid, find_model, find_models
from model_registry.snapshot.snapshot import Snapshot
from model_registry.snapshot.table import Table
from model_registry.snapshot.table_specs import SPECS

PUBLIC_TABLES = tuple(sorted(SPECS.keys() - {"api_keys"}))
"""What the change log shows: who may read it need not know of keys."""


def search_providers(
    snapshot: Snapshot,
    *,
    type: str | None = None,  # noqa: A002 (the parameter's public name)
    provider_type: str | None = None,
    active: bool | None = None,
) -> list[Provider]:
    """Providers that pass every filter, by name. `provider_type` is another name of `type`. Errors: Invalid."""
    for parameter, value in (("type", type), ("provider_type", provider_type)):
        if value is not None:
            known(parameter, value, tuple(PROVIDER_TYPES))
    return [
        p
        for p in snapshot.providers
        if type in (None, p.type) and provider_type in (None, p.type) and active in (None, p.active)
    ]


def search_aliases(snapshot: Snapshot, *, alias: str | None = None, context: str | None = None) -> list[Alias]:
    """Aliases that pass every filter. Errors: Invalid."""
    if alias is not None:
        known("alias", alias, _keys(snapshot.aliases, "alias"))
    if context is not None:
        known("context", context, {a.context for a in snapshot.aliases if a.context is not None})
    return [a for a in snapshot.aliases if alias in (None, a.alias) and context in (None, a.context)]


def search_functions(snapshot: Snapshot, *, service_name: str | None = None) -> list[Function]:
    """Functions that pass the filter. Errors: Invalid."""
    if service_name is not None:
        known("service_name", service_name, {f.service_name for f in snapshot.functions})
    return [f for f in snapshot.functions if service_name in (None, f.service_name)]


def search_mappings(
    snapshot: Snapshot, *, service_name: str | None = None, function_name: str | None = None, model: str | None = None
) -> list[Mapping]:
    """Mappings that pass every filter; a service or function may have none yet. Errors: Invalid, ModelNotFound."""
    if service_name is not None:
        known("service_name", service_name, {f.service_name for f in snapshot.functions})
    if function_name is not None:
        known("function_name", function_name, {f.function_name for f in snapshot.functions})
    used = None if model is None else find_model(snapshot, model).id
    return [
        m
        for m in snapshot.mappings
        if service_name in (None, m.service_name)
        and function_name in (None, m.function_name)
        and used in (None, m.model_id, m.fallback_model_id)
    ]


def search_deployments(
    snapshot: Snapshot,
    *,
    node_id: str | None = None,
    provider_type: str | None = None,
    status: str | None = None,
    model: str | None = None,
) -> list[Deployment]:
    """Deployments that pass every filter. Errors: Invalid.

    `node_id` matches whole names; `model` is an id, a name, a provider's name for it, an alias, or what the node
    announced. A node that nobody knows has no deployments: existing clients ask for nodes that come and go.
    """
    if node_id is not None and not node_id:
        known("node_id", node_id, _keys(snapshot.deployments, "node"))
    if status is not None:
        known("status", status, DEPLOYMENT_STATUSES)
    if provider_type is not None:
        known("provider_type", provider_type, {*PROVIDER_TYPES, *(d.provider_type for d in snapshot.deployments)})
    of_model = None if model is None else _deployments_of(snapshot, model)
    deployments: Iterable[Deployment] = (
        snapshot.deployments if node_id is None else snapshot.deployments.where("node", node_id)
    )
    return [
        d
        for d in deployments
        if status in (None, d.status)
        and provider_type in (None, d.provider_type)
        and (of_model is None or d.id in of_model)
    ]


def _deployments_of(snapshot: Snapshot, reference: str) -> set[str]:
    """Return the ids of a model's deployments, or of what nodes announced by this name. Errors: Invalid."""
    found = {d.id for d in snapshot.deployments if reference in (d.announced_model, *d.linked)}
    try:
        for model in find_models(snapshot, reference):
            found |= {d.id for d in snapshot.deployments.where("model", model.id)}
    except ModelNotFound:
        if not found:
            announced = {d.announced_model for d in snapshot.deployments}
            known("model", reference, announced | {model.name for model in snapshot.models})
    return found


def _keys(table: Table[Any], index: str) -> set[str]:
    return {str(key) for key in table.keys(index)}


def check_change_filters(table: str | None, row_id: str | None) -> None:
    """Refuse tables and ids that the change log cannot hold. Errors: Invalid."""
    if table is not None:
        known("table", table, PUBLIC_TABLES)
    if row_id is not None and as_uuid(row_id) is None:
        message = f"Invalid row_id {row_id!r}: it must be a UUID."
        raise Invalid(message, reasons=[Reason("row_id", message)])


Word = Annotated[str, StringConstraints(max_length=300)]
Words = Annotated[list[Word], Field(max_length=100)]
_Limit = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ModelFilter(StrictNumbers):
    """Conditions on models; all must hold."""

    unknown_is_empty: ClassVar[bool] = False
    """Whether a word that no model has matches nothing instead of being refused, as older programs expect."""

    model_type: Word | None = Field(
        None, description="A model type or a synonym, such as llm or vision.", examples=["chat"]
    )
    provider: Word | None = Field(None, description="A provider's name, id or type.", examples=["openai"])
    provider_type: Word | None = Field(None, description="The type of the model's provider.", examples=["ollama"])
    capability: Words = Field(
        [], description="Repeatable: all must match. `function_calling` and `tools` mean `tool_use`."
    )
    name: Word | None = Field(None, description="The model's name; matches the rows of all providers.")
    model_id: Word | None = Field(None, description="The provider's name for the model.", examples=["qwen3:8b"])
    active: bool | None = Field(None, description="The model's own flag; `offered` also considers its provider.")
    offered: bool | None = Field(
        None, description="Whether the model is available for selection: active, with a status that allows it."
    )
    missing: bool | None = Field(
        None, description="Whether its sources list the model no more: whether it has `missing_since`."
    )
    status: Words = Field([], description=f"Repeatable: one must match. {', '.join(get_args(ModelStatus))}.")
    tag: Words = Field([], description="Repeatable: all must match.")
    category: Word | None = Field(None, description="A key of `/api/categories`.", examples=["text-llm"])
    framework: Word | None = Field(None, examples=["transformers"])
    task_type: Word | None = Field(None, examples=["text-generation"])
    min_context: Annotated[int, Field(ge=0, le=MAX_INT32)] | None = Field(
        None, description="Tokens; models with unknown context length do not match."
    )
    max_cost_per_1m_input_tokens: _Limit | None = Field(
        None, description="US dollars; models with unknown price do not match."
    )
    max_cost_per_1m_output_tokens: _Limit | None = Field(
        None, description="US dollars; models with unknown price do not match."
    )
    q: Annotated[str, StringConstraints(max_length=1000)] | None = Field(
        None,
        description="Free text: every word must occur, in any case, in the name, the provider's name for it, the "
        "display name, the description, the tags or the aliases.",
    )


Sort = Annotated[Word | None, Field(description=SORTABLE, examples=["cost_per_1m_input_tokens"])]


def search_models(snapshot: Snapshot, index: ModelIndex, filters: ModelFilter, sort: str | None = None) -> list[Model]:
    """Return the models that pass every filter, in stable order or sorted. Errors: Invalid."""
    mask = passing(snapshot, index, filters)
    if sort is None:
        return index.select(mask, index.rows)
    name, descending = sorting(sort, index.keys("benchmark"))
    with_number = index.positions(mask & index.known(name))
    with_number.sort(key=index.numbers(name).__getitem__, reverse=descending)  # stable, also when reversed
    return [index.rows[position] for position in (*with_number, *index.positions(mask & ~index.known(name)))]


def passing(snapshot: Snapshot, index: ModelIndex, filters: ModelFilter) -> Mask:
    """Return the models that pass every filter. Errors: Invalid."""
    passed = index.everything
    for mask in _masks(snapshot, index, filters):
        passed &= mask
    return passed


def _masks(snapshot: Snapshot, index: ModelIndex, f: ModelFilter) -> Iterable[Mask]:
    """Yield the models that pass each given filter."""
    if not f.unknown_is_empty:
        _refuse_unknown(index, f)
    yield from (index.where("capability", canonical(tag)) for tag in f.capability)
    yield from (index.where("tag", tag) for tag in f.tag)
    yield from (index.where(field, value) for field, value in _exact(f))
    yield from _provider_masks(snapshot, index, f)
    if f.model_type is not None:
        yield index.where("model_type", model_type(f.model_type, "model_type"))
    if f.status:
        yield index.where("status", *(known("status", value, get_args(ModelStatus)) for value in f.status))
    if f.category is not None:
        yield index.where("category", category(snapshot, index, f.category, "category"))
    if f.active is not None:
        yield index.active() if f.active else index.everything ^ index.active()
    if f.offered is not None:
        yield index.offered() if f.offered else index.everything ^ index.offered()
    if f.missing is not None:
        yield index.missing() if f.missing else index.everything ^ index.missing()
    limits = (
        (index.at_least, "context_window", f.min_context),
        (index.at_most, "cost_per_1m_input_tokens", f.max_cost_per_1m_input_tokens),
        (index.at_most, "cost_per_1m_output_tokens", f.max_cost_per_1m_output_tokens),
    )
    yield from (within(number, limit) for within, number, limit in limits if limit is not None)
    if words := (f.q or "").casefold().split():
        yield index.mask([all(word in text for word in words) for text in _texts(index)])


def _refuse_unknown(index: ModelIndex, f: ModelFilter) -> None:
    """Refuse values that no model has, and no list knows. Errors: Invalid."""
    for tag in f.capability:
        capability(index, tag, "capability")
    for field, value in (*(("tag", tag) for tag in f.tag), *_exact(f)):
        known(field, value, index.keys(field))


def _exact(f: ModelFilter) -> Iterable[tuple[str, str]]:
    exact = {"name": f.name, "model_id": f.model_id, "framework": f.framework, "task_type": f.task_type}
    return [(field, value) for field, value in exact.items() if value is not None]


def _provider_masks(snapshot: Snapshot, index: ModelIndex, f: ModelFilter) -> Iterable[Mask]:
    if f.provider_type is not None:
        of_type = search_providers(snapshot, provider_type=f.provider_type)
        yield index.where("provider", *(provider.id for provider in of_type))
    if f.provider is not None:
        yield index.where("provider", *provider_ids(snapshot, f.provider, "provider"))


def _texts(index: ModelIndex) -> list[str]:
    """Return each model's text for the free-text search, one field per line, so that no word spans two fields."""

    def made() -> list[str]:
        texts = list(index.columns.column("text", _text))
        for alias in index.aliases:
            position = index.position(alias.model_id)
            if position is not None:
                texts[position] += f"\n{alias.alias.casefold()}"
        return texts

    return index.memo("texts", made)


def _text(model: Model) -> str:
    tags = model.card.get("tags")
    parts = (model.name, model.model_id, model.card.get("display_name"), model.description)
    return "\n".join(str(part) for part in (*parts, *(tags if isinstance(tags, list) else ())) if part).casefold()
