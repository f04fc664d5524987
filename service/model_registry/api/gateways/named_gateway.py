"""The gateway that a path names: `/api/gateways/NAME/...`, or `/api/tensorzero/...` for the one that is always there.

A route of one is a route of the other: `GatewayRoutes` adds both, with one function.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Request

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.entities.gateway import DEFAULT_GATEWAY, Gateway
from model_registry.errors import Conflict, NotFound, NothingAccepted
from model_registry.fleet.flap_damping import DampedSnapshot
from model_registry.gateways.kind import GatewayKind, Rendered
from model_registry.gateways.kinds import KINDS
from model_registry.gateways.publishing.publisher import ConfigPublisher
from model_registry.gateways.scope import default_gateway
from model_registry.gateways.tensorzero.kind import TENSORZERO
from model_registry.gateways.tensorzero.rendering.render import FLEET_TABLES, has_routes
from model_registry.snapshot.lookup import find_gateway
from model_registry.snapshot.snapshot import Snapshot

E = TypeVar("E", bound=Callable[..., Any])

GATEWAY_PREFIX = "/api/gateways/{gateway}"
TENSORZERO_PREFIX = "/api/tensorzero"
NOT_HERE = "This replica has the role `dispatch`: it makes no configuration. Ask one with another role."
_NAME: dict[str, Any] = {
    "name": "gateway",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": "The gateway: its name, or its id.",
}


@dataclass(frozen=True, slots=True)
class NamedGateway:
    """A gateway as a request names it: its row and its publisher."""

    reference: str
    """Its name, or its id."""
    row: Gateway
    publisher: ConfigPublisher

    @property
    def kind(self) -> GatewayKind:
        """What it renders, and how it is checked."""
        return self.publisher.renderer.kind

    def is_there(self, snapshot: Snapshot) -> bool:
        """Whether the reference still means it: it may have been deleted, or have got another name."""
        rows = (snapshot.gateways.get(self.row.id), *snapshot.gateways.where("name", self.reference))
        return self.row.id == "" or any(r and r.id == self.row.id and self.reference in {r.id, r.name} for r in rows)

    def expect_there(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot. Errors: NotFound, where the reference means it no more."""
        if not self.is_there(snapshot):
            raise NotFound(f"The gateway {self.reference!r} has been deleted, or has another name now.")
        return snapshot

    def newest(self, snapshot: Snapshot) -> DampedSnapshot:
        """What its newest configuration is rendered from, pinned or not, at this time."""
        return self.publisher.damped(snapshot, time.time())

    def rendered_at(self, *snapshots: Snapshot) -> list[Rendered]:
        """Its configurations of earlier registries, given its scope of today. Takes about a second for a large one."""
        renderer, now = self.publisher.renderer.twin(), time.time()
        return [renderer.all_of(snapshot, self.row, now) for snapshot in snapshots]

    def tables(self, snapshot: Snapshot) -> frozenset[str]:
        """The tables that its newest configuration is made of."""
        fleet = FLEET_TABLES if self.kind is TENSORZERO and not has_routes(snapshot) else frozenset()
        return self.kind.tables - fleet | {"gateways"}


@dataclass(frozen=True, slots=True)
class GatewayPath:
    """What a path says about its gateway. Looked up by the endpoint: what else is wrong with a request comes first."""

    state: AppState
    reference: str

    def row(self) -> Gateway:
        """Return the gateway's row. Errors: NotFound, StorageUnavailable."""
        snapshot = self.state.registry.snapshot
        if self.reference == DEFAULT_GATEWAY and not len(snapshot.gateways):
            return default_gateway()
        return find_gateway(snapshot, self.reference)

    def gateway(self) -> NamedGateway:
        """Return the gateway with its publisher.

        Errors: as `row`; Conflict for one of a kind that this version does not render; NothingAccepted in the role
        dispatch, which makes no configurations.
        """
        row = self.row()
        publisher = self.state.publishers.of(row)
        if publisher is not None:
            return NamedGateway(self.reference, row, publisher)
        if row.kind not in KINDS:
            raise Conflict(
                f"The gateway {row.name} is of the kind {row.kind}, for which this version of the registry makes no "
                f"configuration. It makes those of {', '.join(sorted(KINDS))}."
            )
        raise NothingAccepted(NOT_HERE)


async def _named(request: Request, state: CurrentApp) -> GatewayPath:
    return GatewayPath(state, request.path_params.get("gateway", DEFAULT_GATEWAY))


Named = Annotated[GatewayPath, Depends(_named)]
"""For routes that `GatewayRoutes` adds."""


class GatewayRoutes:
    """Routes of every gateway, each also of `/api/tensorzero`."""

    def __init__(self, tag: str = "tensorzero") -> None:
        """`tag`: where the documentation has those of `/api/tensorzero`."""
        self._tensorzero = APIRouter(prefix=TENSORZERO_PREFIX, tags=[tag], route_class=GuardedRoute)
        self._named = APIRouter(prefix=GATEWAY_PREFIX, tags=["gateways"], route_class=GuardedRoute)
        self.routers = self._tensorzero, self._named

    def add(
        self,
        method: Literal["GET", "POST", "PUT", "DELETE"],
        path: str,
        *,
        operation_id: str,
        openapi_extra: dict[str, Any] | None = None,
        named_only: bool = False,
        **options: Any,  # noqa: ANN401 (FastAPI's)
    ) -> Callable[[E], E]:
        """Add a route below both prefixes. `operation_id` says `tensorzero` where the other says `gateway`.

        `named_only`: below `/api/gateways/NAME` alone.
        """
        extra = openapi_extra or {}
        other = options | {"responses": {**options["responses"], **responses(404, 409)}}

        def add(endpoint: E) -> E:
            if not named_only:
                self._tensorzero.add_api_route(
                    path, endpoint, methods=[method], operation_id=operation_id, openapi_extra=openapi_extra, **options
                )
            self._named.add_api_route(
                path,
                endpoint,
                methods=[method],
                operation_id=operation_id.replace("tensorzero", "gateway"),
                openapi_extra=extra | {"parameters": [_NAME]},
                **other,
            )
            return endpoint

        return add
