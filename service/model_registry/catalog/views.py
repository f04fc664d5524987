"""Rows as callers see them: joined with what they refer to. Field names are a public contract.

The functions make plain dictionaries, because that is fast; the classes say their shape for the documentation, and
tests hold the two together.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from model_registry.entities.base import Row
from model_registry.entities.deployment import Deployment
from model_registry.entities.function import Mapping
from model_registry.entities.model import OFFERED_STATUSES, Alias, Model, ModelColumns, flags
from model_registry.entities.model_card import EMPTY_CARD, ModelCard
from model_registry.entities.provider import Provider
from model_registry.snapshot.deployment_links import why_unlinked
from model_registry.snapshot.live_deployments import live_deployments, runs_on_nodes
from model_registry.snapshot.snapshot import Snapshot

View = dict[str, Any]


class AliasRef(BaseModel):
    """An alias as a model shows it."""

    alias: str
    context: str | None


class ModelLabel(BaseModel):
    """Which model is meant: the shape of `model_label_view`."""

    id: str
    name: str
    model_id: str
    provider_name: str | None


class ModelVersionView(ModelCard, ModelColumns):
    """The shape of `model_version_view`: the card's fields stand beside the others."""

    context_window: int | None
    supports: dict[str, bool]


class ModelView(ModelVersionView):
    """The shape of `model_view`."""

    offered: bool

    provider_name: str | None
    provider_type: str | None
    api_base: str | None
    api_key_env_var: str | None
    aliases: list[AliasRef]


class ProviderView(Provider):
    """The shape of `provider_view`."""

    description: str | None


class AliasView(Alias):
    """The shape of `alias_view`."""

    model_name: str | None


class MappingView(Mapping):
    """The shape of `mapping_view`."""

    function_id: str | None
    function: str | None
    model_name: str | None
    model_type: str | None
    provider_model_id: str | None
    provider_name: str | None
    fallback_model_name: str | None


class DeploymentView(Deployment):
    """The shape of `deployment_view`."""

    model_name: str | None
    unlinked_reason: str | None = Field(description="Why no model of the catalogue is linked, and what to do.")


# As `client/rows.py`, which imports nothing of the server.
class ServiceModelView(ModelView):
    """The shape of `service_models`' and `deployed_models`' rows; only the latter have the last three."""

    mapping_id: str
    service_name: str
    function_name: str
    variant_name: str
    priority: int
    weight: float
    fallback_model_id: str | None
    deployed: bool | None = Field(None, description="With `deployed=true`: whether a node has it loaded now.")
    deployments: int | None = Field(None, description="With `deployed=true`: its live deployments.")
    reason: Literal["mapping", "fallback"] | None = Field(
        None, description="With `deployed=true`: a mapping's own model, or the one that stands in for it."
    )


def row_view(_snapshot: Snapshot, row: Row) -> View:
    """A row that is shown as it is: its columns."""
    return row.model_dump()


def provider_view(_snapshot: Snapshot, provider: Provider) -> View:
    """A provider with its description."""
    return provider.model_dump() | {"description": provider.described}


def model_label_view(snapshot: Snapshot, model: Model) -> View:
    """Enough of a model to tell it from every other."""
    provider = snapshot.providers.get(model.provider_id)
    return {
        "id": model.id,
        "name": model.name,
        "model_id": model.model_id,
        "provider_name": provider.name if provider else None,
    }


def model_version_view(model: Model) -> View:
    """What a model's own row says, without what it is joined with: all there is to say of earlier states."""
    return {
        "id": model.id,
        "name": model.name,
        "model_id": model.model_id,
        "model_type": model.model_type,
        "capabilities": model.capabilities,
        "vram_mb": model.vram_mb,
        "context_length": model.context_length,
        "context_window": model.context_length,
        "description": model.description,
        "provider_id": model.provider_id,
        "routing_priority": model.routing_priority,
        "tensorzero": model.tensorzero,
        "metadata": model.metadata,
        "active": model.active,
        "status": model.status,
        "missing_since": model.missing_since,
        "supports": flags(model.capabilities),
        **EMPTY_CARD,
        **model.card,
        "field_sources": model.field_sources,
        "version": model.version,
        "created_at": model.created_at,
        "updated_at": model.updated_at,
    }


def model_view(snapshot: Snapshot, model: Model) -> View:
    """A model with its provider's address and its aliases."""
    provider = snapshot.providers.get(model.provider_id)
    return {
        **model_version_view(model),
        "offered": is_offered(snapshot, model),
        "provider_name": provider.name if provider else None,
        "provider_type": provider.type if provider else None,
        "api_base": provider.api_base if provider else None,
        "api_key_env_var": provider.api_key_env_var if provider else None,
        "aliases": [{"alias": a.alias, "context": a.context} for a in snapshot.aliases.where("model", model.id)],
    }


def alias_view(snapshot: Snapshot, alias: Alias) -> View:
    """An alias with the name of its model."""
    return alias.model_dump() | {"model_name": _model_name(snapshot, alias.model_id)}


def mapping_view(snapshot: Snapshot, mapping: Mapping) -> View:
    """A mapping with the names of its models, and its function's key in the gateway."""
    model = snapshot.models.get(mapping.model_id)
    provider = snapshot.providers.get(model.provider_id) if model else None
    functions = snapshot.functions.where("key", (mapping.service_name, mapping.function_name))
    return mapping.model_dump() | {
        "function_id": functions[0].id if functions else None,
        "function": functions[0].name if functions else None,
        "model_name": model.name if model else None,
        "model_type": model.model_type if model else None,
        "provider_model_id": model.model_id if model else None,
        "provider_name": provider.name if provider else None,
        "fallback_model_name": _model_name(snapshot, mapping.fallback_model_id),
    }


def deployment_view(snapshot: Snapshot, deployment: Deployment) -> View:
    """A deployment with the name of its catalogued model, or the reason why there is none."""
    return deployment.model_dump() | {
        "model_name": _model_name(snapshot, deployment.model_id),
        "unlinked_reason": why_unlinked(snapshot, deployment),
    }


def service_models(snapshot: Snapshot, service_name: str, function_name: str | None = None) -> list[View]:
    """The models that serve a service, best first; inactive models and providers are left out.

    Existing clients take the first row, so this order is the routing order: priority, then weight descending, then
    function and variant.
    """
    return [
        _service_view(snapshot, mapping, model)
        for mapping in _service_mappings(snapshot, service_name, function_name)
        if (model := snapshot.models.get(mapping.model_id)) and is_offered(snapshot, model)
    ]


def deployed_models(snapshot: Snapshot, service_name: str, function_name: str | None = None) -> list[View]:
    """The models of a service that can be asked now, best first: the mappings' own, then those that stand in for them.

    What runs on nodes is there only while a node has it loaded. A model that stands in is left out where the function
    has it already.
    """
    mappings = _service_mappings(snapshot, service_name, function_name)
    candidates = [(mapping, mapping.model_id, "mapping") for mapping in mappings]
    candidates += [
        (mapping, mapping.fallback_model_id, "fallback") for mapping in mappings if mapping.fallback_model_id
    ]
    rows = []
    seen = set()
    for mapping, model_id, reason in candidates:
        model = snapshot.models.get(model_id)
        known = (mapping.function_name, model_id)
        if model is None or not is_offered(snapshot, model) or (reason == "fallback" and known in seen):
            continue
        count = len(live_deployments(snapshot, model.id))
        if count or not runs_on_nodes(snapshot.providers.get(model.provider_id)):
            seen.add(known)
            why = {"deployed": count > 0, "deployments": count, "reason": reason}
            rows.append(_service_view(snapshot, mapping, model) | why)
    return rows


def _service_mappings(snapshot: Snapshot, service_name: str, function_name: str | None) -> list[Mapping]:
    mappings = [m for m in snapshot.mappings.where("service", service_name) if function_name in (None, m.function_name)]
    mappings.sort(key=lambda m: (m.priority, -m.weight, m.function_name, m.variant_name))
    return mappings


def _service_view(snapshot: Snapshot, mapping: Mapping, model: Model) -> View:
    names = ("service_name", "function_name", "variant_name", "priority", "weight", "fallback_model_id")
    own = {name: getattr(mapping, name) for name in names}
    return model_view(snapshot, model) | {"mapping_id": mapping.id} | own


def is_offered(snapshot: Snapshot, model: Model) -> bool:
    """Whether the model should be chosen: it and its provider are active, and its status says so."""
    provider = snapshot.providers.get(model.provider_id)
    return model.active and model.status in OFFERED_STATUSES and provider is not None and provider.active


def _model_name(snapshot: Snapshot, model_id: str | None) -> str | None:
    model = snapshot.models.get(model_id)
    return model.name if model else None
