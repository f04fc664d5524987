"""Filters of lists. An unknown value is an error that lists the allowed ones, never an empty list.

Those of models are in `model_filter.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from model_registry.entities.deployment import DEPLOYMENT_STATUSES, Deployment
from model_registry.entities.provider import Provider
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.errors import Invalid, Reason
from model_registry.snapshot.lookup import as_uuid
from model_registry.snapshot.snapshot import SPECS, Snapshot

PUBLIC_TABLES = tuple(sorted(SPECS.keys() - {"api_keys"}))
"""What the change log shows: who may read it need not know of keys."""


def search_providers(
    snapshot: Snapshot, *, provider_type: str | None = None, active: bool | None = None
) -> list[Provider]:
    """Providers that pass every filter, by name. Errors: Invalid."""
    if provider_type is not None and provider_type not in PROVIDER_TYPES:
        raise meaningless("type", provider_type, tuple(PROVIDER_TYPES))
    return [p for p in snapshot.providers if provider_type in (None, p.type) and active in (None, p.active)]


def search_deployments(
    snapshot: Snapshot, *, node_id: str | None = None, status: str | None = None, model: str | None = None
) -> list[Deployment]:
    """Deployments that pass every filter. Errors: Invalid.

    `node_id` matches whole names; `model` is an id, a name, a provider's name for it, or what the node announced.
    """
    if status is not None and status not in DEPLOYMENT_STATUSES:
        raise meaningless("status", status, DEPLOYMENT_STATUSES)
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
    if table is not None and table not in PUBLIC_TABLES:
        raise meaningless("table", table, PUBLIC_TABLES)
    if row_id is not None and as_uuid(row_id) is None:
        message = f"Invalid row_id {row_id!r}: it must be a UUID."
        raise Invalid(message, reasons=[Reason("row_id", message)])


def _is_of_model(snapshot: Snapshot, deployment: Deployment, reference: str) -> bool:
    if reference in (deployment.announced_model, deployment.model_id):
        return True
    model = snapshot.models.get(deployment.model_id)
    return model is not None and reference in (model.name, model.model_id)


def meaningless(name: str, value: str, allowed: Sequence[str]) -> Invalid:
    """The error for an unknown value of a filter, with the allowed ones."""
    message = f"Unknown {name} {value!r}. Allowed: {', '.join(allowed)}."
    return Invalid(message, reasons=[Reason(name, message)], allowed=list(allowed))
