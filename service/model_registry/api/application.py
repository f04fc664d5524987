"""The ASGI application: routes, middleware, error handlers. What stands behind the routes is made in `app.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from model_registry import __version__
from model_registry.api.app_state import AppState
from model_registry.api.cached_responses import BodyCache
from model_registry.api.dispatch.application import DispatchApplication
from model_registry.api.dispatch.door import Door
from model_registry.api.dispatch.language_models import LanguageModelDoors
from model_registry.api.dispatch.model_services import ModelServiceDoors
from model_registry.api.dispatch.training import TrainingJobs
from model_registry.api.dispatch.training_reports import TrainingReports
from model_registry.api.error_handlers import install_error_handlers
from model_registry.api.middleware import RegistryMiddleware
from model_registry.api.openapi import describe
from model_registry.api.routes import (
    catalog,
    compat,
    dashboard,
    deployments,
    docs,
    gateway_check,
    gateway_config,
    gateway_diff,
    gateway_environment,
    gateway_import,
    gateway_project,
    gateway_promotion,
    gateways,
    health,
    history,
    instances,
    jobs,
    model_import,
    model_services,
    models,
    nodes,
    openai_models,
    rest_v1,
    selection,
    services,
    sources,
    tensorzero,
    training_models,
    v1_registry,
)
from model_registry.services.jobs.service_requests import ServiceRequests

ROUTERS = (
    *catalog.ROUTERS,
    compat.router,
    dashboard.router,
    *deployments.ROUTERS,
    docs.router,
    health.router,
    *history.ROUTERS,
    instances.router,
    jobs.router,
    model_import.router,
    *gateway_check.ROUTERS,
    *gateway_config.ROUTERS,
    *gateway_diff.ROUTERS,
    gateway_environment.router,
    gateway_import.router,
    *gateway_project.ROUTERS,
    *gateway_promotion.ROUTERS,
    gateways.router,
    model_services.router,
    models.router,
    nodes.router,
    openai_models.router,
    rest_v1.router,
    selection.router,
    services.router,
    sources.router,
    tensorzero.router,
    *training_models.ROUTERS,
    v1_registry.router,
)
"""In any order: `in_order` decides which route takes a request that fits several."""

_LITERAL, _SEGMENT, _SEGMENTS, _REST = range(4)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def http_application(state: AppState, lifespan: Lifespan, routers: Iterable[APIRouter] = ROUTERS) -> FastAPI:
    """Answer HTTP requests from `state`, for as long as `lifespan` runs."""
    app = _Application(
        DispatchApplication(state, dispatch_doors(state)),
        title="Model registry",
        version=__version__,
        description="A registry of AI models: providers, models, their use by services, deployments on GPU nodes, and "
        "the gateway configuration rendered from them. Unknown parameters and fields are refused by name; fields of "
        "answers may be sent back.",
        lifespan=lifespan,
        redirect_slashes=False,
        # Ours are in api/metrics.py. FastAPI's would look at the environment anew at every request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        openapi_url="/openapi.json",
        # FastAPI's own pages load their scripts from elsewhere. Ours is in api/routes/docs.py.
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = state
    app.state.bodies = BodyCache()
    app.state.before_stop = state.release
    app.router.routes += in_order(routers)
    install_error_handlers(app)
    describe(app)
    app.add_middleware(RegistryMiddleware, state=state, bodies=app.state.bodies)
    return app


class _Application(FastAPI):
    """FastAPI, which does not see the requests that are dispatched: its way to a route takes longer than theirs."""

    def __init__(self, dispatch: DispatchApplication, **named: Any) -> None:  # noqa: ANN401 (FastAPI's)
        super().__init__(**named)
        self.dispatch = dispatch
        """Asked by `http_protocol.py` already; here for those who call the application itself."""
        self._describing: asyncio.Task[dict[str, Any]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and (door := self.dispatch.door(scope["path"])) is not None:
            await self.dispatch(door, scope, receive, send)
            return
        if self.openapi_schema is None and scope.get("path") == self.openapi_url:
            await self._describe()
        await super().__call__(scope, receive, send)

    async def _describe(self) -> None:
        """Make the OpenAPI document, once: that takes seconds of computing, in which nobody else must wait."""
        if self._describing is None:
            self._describing = asyncio.create_task(asyncio.to_thread(self.openapi), name="OpenAPI document")
        await asyncio.shield(self._describing)


def dispatch_doors(state: AppState) -> dict[str, Door]:
    """The paths that are dispatched, and what takes each."""
    directory = state.model_services.directory
    training = TrainingJobs(state.settings, state.registry, directory, state.jobs)
    reports = TrainingReports(state.registry, state.jobs, ServiceRequests(state.dispatcher, state.registry.origin))
    services = ModelServiceDoors(state.settings, state.registry, state.dispatcher, directory, training)
    models = LanguageModelDoors(state.settings, state.registry, state.dispatcher, state.language_models)
    return services.doors() | training.doors() | reports.doors() | models.doors()


def in_order(routers: Iterable[APIRouter]) -> list[BaseRoute]:
    """The routes of all routers, most specific path first, then by path and method, in whatever order routers stand.

    Where several paths fit a request, the one that names a segment comes before the one that takes any (`/models/stats`
    before `/models/{reference:path}`), and a longer tail before a parameter that takes the whole rest
    (`/models/{reference:path}/versions`).
    """
    return sorted((route for router in routers for route in router.routes), key=_precedence)


def _precedence(route: BaseRoute) -> tuple[list[tuple[int, str]], int]:
    if not isinstance(route, Route):
        message = f"{route!r} has no path to order it by"
        raise TypeError(message)
    methods = (_METHODS.index(method) for method in route.methods or () if method in _METHODS)
    return _specificity(route.path), min(methods, default=len(_METHODS))


def _specificity(path: str) -> list[tuple[int, str]]:
    segments = path.strip("/").split("/")
    return [_rank(segment, is_last=position == len(segments)) for position, segment in enumerate(segments, start=1)]


def _rank(segment: str, *, is_last: bool) -> tuple[int, str]:
    if not segment.startswith("{"):
        return _LITERAL, segment
    if not segment.endswith(":path}"):
        return _SEGMENT, ""
    return (_REST if is_last else _SEGMENTS), ""
