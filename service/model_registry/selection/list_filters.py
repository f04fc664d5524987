"""Filters of lists, and the order of lists of models.

An unknown value is an error that lists the allowed ones, never an empty list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, get_args

from pydantic import BaseModel, Field, StringConstraints

from model_registry.entities.base import MAX_INT32
from model_registry.entities.deployment import DEPLOYMENT_STATUSES, Deployment
from model_registry.entities.model import MODEL_TYPE_SYNONYMS, Model, ModelStatus, ModelType, canonical
from model_registry.entities.provider import Provider
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.errors import Invalid, Reason
from model_registry.selection.model_index import Mask, ModelIndex
from model_registry.selection.model_numbers import SORTABLE, sorting
from model_registry.snapshot.deployment_links import models_of
from model_registry.snapshot.lookup import as_uuid
from model_registry.snapshot.snapshot import SPECS, Snapshot

PUBLIC_TABLES = tuple(sorted(SPECS.keys() - {"api_keys"}))
"""What the change log shows: who may read it need not know of keys."""


def search_providers(
    snapshot: Snapshot, *, provider_type: str | None = None, active: bool | None = None
) -> list[Provider]:
    """Providers that pass every filter, by name. Errors: Invalid."""
    if provider_type is not None:
        known("type", provider_type, tuple(PROVIDER_TYPES))
    return [p for p in snapshot.providers if provider_type in (None, p.type) and active in (None, p.active)]


def search_deployments(
    snapshot: Snapshot, *, node_id: str | None = None, status: str | None = None, model: str | None = None
) -> list[Deployment]:
    """Deployments that pass every filter. Errors: Invalid.

    `node_id` matches whole names; `model` is an id, a name, a provider's name for it, or what the node announced.
    """
    if status is not None:
        known("status", status, DEPLOYMENT_STATUSES)
    deployments: Iterable[Deployment] = (
        snapshot.deployments if node_id is None else snapshot.deployments.where("node", node_id)
    )
    return [
        d
        for d in deployments
        if (status is None or d.status == status) and (model is None or _is_of_model(snapshot, d, model))
    ]


def check_change_filters(table: str | None, row_id: str | None) -> None:
    """Refuse tables and ids that the change log cannot hold. Errors: Invalid."""
    if table is not None:
        known("table", table, PUBLIC_TABLES)
    if row_id is not None and as_uuid(row_id) is None:
        message = f"Invalid row_id {row_id!r}: it must be a UUID."
        raise Invalid(message, reasons=[Reason("row_id", message)])


def _is_of_model(snapshot: Snapshot, deployment: Deployment, reference: str) -> bool:
    if reference == deployment.announced_model or reference in deployment.linked:
        return True
    return any(reference in (model.name, model.model_id) for model in models_of(snapshot, deployment))


def known(name: str, value: str, allowed: Sequence[str]) -> str:
    """Return the value of a filter. Errors: Invalid, when it is unknown, with the allowed ones."""
    if value not in allowed:
        message = f"Unknown {name} {value!r}. Allowed: {', '.join(allowed)}."
        raise Invalid(message, reasons=[Reason(name, message)], allowed=list(allowed))
    return value


Word = Annotated[str, StringConstraints(max_length=300)]
Words = Annotated[list[Word], Field(max_length=100)]
_Limit = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ModelFilter(BaseModel):
    """Conditions on models; all must hold."""

    model_type: Word | None = Field(
        None, description="A model type or a synonym, such as llm or vision.", examples=["chat"]
    )
    provider: Word | None = Field(None, description="A provider's name, id or type.", examples=["openai"])
    capability: Words = Field(
        [], description="Repeatable: all must match. `function_calling` and `tools` mean `tool_use`."
    )
    name: Word | None = Field(None, description="The model's name; matches the rows of all providers.")
    active: bool | None = Field(None, description="The model's own flag; `offered` also considers its provider.")
    offered: bool | None = Field(
        None, description="Whether the model is available for selection: active, with a status that allows it."
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


def provider_ids(snapshot: Snapshot, value: str, parameter: str) -> set[str]:
    """Return the ids of one provider by id or name, or of all of a type. Errors: Invalid."""
    row_id = as_uuid(value)
    ids = {p.id for p in snapshot.providers if value in (p.name, p.type) or p.id == row_id}
    if not ids:
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


def _masks(snapshot: Snapshot, index: ModelIndex, f: ModelFilter) -> Iterable[Mask]:
    """Yield the models that pass each given filter."""
    yield from (index.where("capability", canonical(tag)) for tag in f.capability)
    yield from (index.where("tag", tag) for tag in f.tag)
    exact = {"name": f.name, "framework": f.framework, "task_type": f.task_type}
    yield from (index.where(field, value) for field, value in exact.items() if value is not None)
    if f.model_type is not None:
        yield index.where("model_type", model_type(f.model_type, "model_type"))
    if f.provider is not None:
        yield index.where("provider", *provider_ids(snapshot, f.provider, "provider"))
    if f.status:
        yield index.where("status", *(known("status", value, get_args(ModelStatus)) for value in f.status))
    if f.category is not None:
        yield index.where("category", category(snapshot, index, f.category, "category"))
    if f.active is not None:
        yield index.active() if f.active else index.everything ^ index.active()
    if f.offered is not None:
        yield index.offered() if f.offered else index.everything ^ index.offered()
    limits = (
        (index.at_least, "context_window", f.min_context),
        (index.at_most, "cost_per_1m_input_tokens", f.max_cost_per_1m_input_tokens),
        (index.at_most, "cost_per_1m_output_tokens", f.max_cost_per_1m_output_tokens),
    )
    yield from (within(number, limit) for within, number, limit in limits if limit is not None)
    if words := (f.q or "").casefold().split():
        yield index.mask([all(word in text for word in words) for text in _texts(index)])


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
