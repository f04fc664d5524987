"""Rows as the database's views and tables have them, for programs that know a registry as PostgREST: from the snapshot.

The columns are those of `schema/80_views.sql`; a test compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from model_registry.catalog.views import View, is_offered, model_view
from model_registry.entities.deployment import LIVE_STATUSES, Deployment
from model_registry.entities.function import Mapping
from model_registry.entities.model import Model
from model_registry.snapshot.deployment_links import models_of
from model_registry.snapshot.snapshot import Snapshot

TABLES = (
    *("model_providers", "models", "model_aliases", "service_model_mappings", "model_deployments"),
    *("functions", "gpu_nodes", "model_categories"),
)
"""Tables that are shown as they are."""

_OF_MODEL = (
    *("id", "name", "model_id", "model_type", "capabilities", "vram_mb", "context_length", "description"),
    *("routing_priority", "metadata", "provider_id", "provider_name", "provider_type", "api_base", "api_key_env_var"),
    *("status", "aliases", "missing_since"),
)
_OF_SERVICE = (
    *("id", "name", "model_id", "model_type", "capabilities", "vram_mb", "context_length", "description"),
    *("provider_name", "provider_type", "api_base", "api_key_env_var"),
)


def _active_models(snapshot: Snapshot) -> list[View]:
    """Offered models, the largest context first: programs without a mapping take the first one of a type."""
    rows = [
        _model(snapshot, model, _OF_MODEL) | {"card": model.card}
        for model in snapshot.models
        if is_offered(snapshot, model)
    ]
    return sorted(rows, key=lambda row: -(row["context_length"] or 0))


def service_models(snapshot: Snapshot, mappings: Iterable[Mapping] | None = None) -> list[View]:
    """Mappings to offered models, in routing order; among equals the largest context first. Default: all mappings."""
    rows = []
    for mapping in snapshot.mappings if mappings is None else mappings:
        model = snapshot.models.get(mapping.model_id)
        if model is None or not is_offered(snapshot, model):
            continue
        fallback = snapshot.models.get(mapping.fallback_model_id)
        names = ("service_name", "function_name", "variant_name", "priority", "weight", "fallback_model_id")
        own: View = {"mapping_id": mapping.id, **{name: getattr(mapping, name) for name in names}}
        own |= {"fallback_model_name": fallback.name if fallback else None, "model_name": model.name}
        rows.append(own | _model(snapshot, model, _OF_SERVICE))
    return sorted(rows, key=lambda row: (row["priority"], -row["weight"], -(row["context_length"] or 0)))


def _active_deployments(snapshot: Snapshot) -> list[View]:
    """Deployments that are loaded or on their way."""
    names = (
        *("id", "node_id", "provider_type", "announced_model", "model_id", "status", "vram_allocated_mb"),
        *("endpoint", "loaded_at", "last_used_at", "event_at"),
    )
    rows = []
    for deployment in snapshot.deployments:
        if deployment.status in LIVE_STATUSES:
            linked = models_of(snapshot, deployment)
            more = {"model_name": linked[0].name if linked else None, "models": _linked(snapshot, deployment, linked)}
            rows.append({n: getattr(deployment, n) for n in names} | more)
    return rows


def _linked(snapshot: Snapshot, deployment: Deployment, models: list[Model]) -> list[View]:
    """All models of a deployment; for one without a link, the name that its node announced."""
    if not models:
        nothing = {"model_name": None, "model_type": None, "provider": None}
        return [{"model_id": deployment.announced_model, **nothing}]
    return [
        {"model_id": m.model_id, "model_name": m.name, "model_type": m.model_type, "provider": provider.name}
        for m in models
        if (provider := snapshot.providers.get(m.provider_id)) is not None
    ]


VIEWS: dict[str, Callable[[Snapshot], list[View]]] = {
    "v_active_models": _active_models,
    "v_service_models": service_models,
    "v_active_deployments": _active_deployments,
}


def rest_rows(snapshot: Snapshot, name: str) -> list[View] | None:
    """Return the rows of a view or a table; None when it is not shown."""
    if name in VIEWS:
        return VIEWS[name](snapshot)
    return [row.model_dump() for row in snapshot.tables[name]] if name in TABLES else None


def _model(snapshot: Snapshot, model: Model, names: tuple[str, ...]) -> View:
    view = model_view(snapshot, model)
    return {name: view[name] for name in names}
