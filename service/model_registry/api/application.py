"""The ASGI application: routes, middleware, error handlers. What stands behind the routes is made in `app.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager

from fastapi import APIRouter, FastAPI

from model_registry import __version__
from model_registry.api.app_state import AppState
from model_registry.api.error_handlers import install_error_handlers
from model_registry.api.middleware import RegistryMiddleware
from model_registry.api.openapi import describe
from model_registry.api.responses import BodyCache
from model_registry.api.route_order import in_order
from model_registry.api.routes import (
    aliases,
    catalog,
    categories,
    changes,
    comparison,
    compatibility,
    costs,
    deployments,
    docs,
    events,
    functions,
    health,
    history,
    mappings,
    metrics,
    model_deployments,
    model_import,
    model_versions,
    models,
    nodes,
    openai_models,
    providers,
    selection,
    services,
    tensorzero,
    tensorzero_check,
    tensorzero_project,
    v1_registry,
)

ROUTERS = (
    aliases.router,
    catalog.router,
    categories.router,
    changes.router,
    comparison.router,
    compatibility.router,
    costs.router,
    deployments.router,
    docs.router,
    events.router,
    functions.router,
    health.router,
    history.router,
    mappings.router,
    metrics.router,
    model_deployments.router,
    model_import.router,
    model_versions.router,
    models.router,
    nodes.router,
    openai_models.router,
    providers.router,
    selection.router,
    services.router,
    tensorzero.router,
    tensorzero_check.router,
    tensorzero_project.router,
    v1_registry.router,
)
"""In any order: `route_order.py` says which route takes a request that fits several."""

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def http_application(state: AppState, lifespan: Lifespan, routers: Iterable[APIRouter] = ROUTERS) -> FastAPI:
    """Answer HTTP requests from `state`, for as long as `lifespan` runs."""
    app = FastAPI(
        title="Model registry",
        version=__version__,
        description="A registry of AI models: providers, models, their use by services, deployments on GPU nodes, and "
        "the gateway configuration rendered from them.",
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
