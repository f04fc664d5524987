"""The only place that wires things together: settings in, a running service out."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import structlog
from fastapi import FastAPI

from model_registry import __version__
from model_registry.api import metrics, problems
from model_registry.api.app_state import AppState
from model_registry.api.auth import HOW_TO_SET_A_KEY, Authenticator
from model_registry.api.check_slots import CheckSlots
from model_registry.api.long_work import LongWork
from model_registry.api.metrics import Metrics
from model_registry.api.middleware import RegistryMiddleware
from model_registry.api.openapi import describe
from model_registry.api.responses import BodyCache
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
    functions,
    health,
    history,
    mappings,
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
from model_registry.api.routes import events as event_routes
from model_registry.background.change_log_trimmer import ChangeLogTrimmer
from model_registry.background.change_publisher import ChangePublisher
from model_registry.background.refresher import Refresher
from model_registry.background.snapshot_saver import SnapshotSaver
from model_registry.confinement.walls import missing_walls
from model_registry.errors import RegistryError
from model_registry.fleet.event_consumer import EventConsumer
from model_registry.fleet.event_recorder import EventRecorder
from model_registry.fleet.jetstream_setup import StreamLimits
from model_registry.fleet.liveness import LOOKS_PER_HEARTBEAT, NodeLiveness
from model_registry.gateways.publishing.accepted_file import AcceptedFile
from model_registry.gateways.publishing.publisher import ConfigPublisher, Validator
from model_registry.gateways.publishing.renderer import Renderer
from model_registry.gateways.tensorzero.rules.write_guard import refuse_bad_configuration
from model_registry.gateways.tensorzero.validation.validator_process import ValidatorProcess, gateway_version
from model_registry.messaging.connection import NatsConnection
from model_registry.messaging.login import NatsLogin
from model_registry.messaging.pace import USUAL, Pace
from model_registry.selection.model_index import ModelIndexes
from model_registry.settings import Settings
from model_registry.store.broadcast import Broadcast
from model_registry.store.client import LOG_CONNECTIONS, Database, connect
from model_registry.store.heartbeats import Heartbeats
from model_registry.store.history import History
from model_registry.store.registry import Registry
from model_registry.store.rejected_events import RejectedEvents
from model_registry.store.snapshot_file import SnapshotFile
from model_registry.store.supabase_auth import connect_tokens

log = structlog.get_logger(__name__)

_START_SECONDS = 5.0
"""How long a start waits for the database where there is a snapshot on disk to start from."""
_STOP_SECONDS = 8
"""For one part to stop. The longest that any of them means to take is 5."""

_ROUTERS = (
    providers.router,
    # Before the models: the routes of one model take every path below theirs. One with such a name is read by its id.
    comparison.router,
    model_deployments.router,
    model_import.router,
    model_versions.router,
    selection.router,
    models.router,
    costs.router,
    compatibility.router,
    openai_models.router,
    categories.router,
    aliases.router,
    functions.router,
    mappings.router,
    catalog.router,
    services.router,
    deployments.router,
    nodes.router,
    event_routes.router,
    tensorzero.router,
    tensorzero_project.router,
    tensorzero_check.router,
    v1_registry.router,
    changes.router,
    history.router,
    health.router,
    metrics.router,
    docs.router,
)


async def create_app(settings: Settings, *, pace: Pace = USUAL) -> FastAPI:
    """Make the service. Its workers run while its lifespan does. Errors: StorageMisconfigured."""
    database, log_database = await connect(settings), await connect(settings, LOG_CONNECTIONS)
    work = LongWork(settings.work_seconds)
    tokens = await connect_tokens(settings)
    registry = Registry(
        database,
        log_database,
        origin=_instance_name(),
        check=refuse_bad_configuration,
        most_deployments=settings.most_deployments,
        most_nodes=settings.most_nodes,
        offload=work.guard.run,
    )
    link = NatsConnection(login, registry.origin, echo=False, pace=pace) if (login := _nats_login(settings)) else None
    authenticator = Authenticator(settings, registry, tokens.scopes if tokens else None)
    service = _service(settings, database, log_database, registry, authenticator, link, work)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(database.close)
            stack.push_async_callback(log_database.close)
            if tokens is not None:
                stack.push_async_callback(tokens.close)
            await _run_workers(service, link, stack)
            yield

    return _http(service, lifespan)


def _service(  # noqa: PLR0913, PLR0917 (the parts)
    settings: Settings,
    database: Database,
    log_database: Database,
    registry: Registry,
    authenticator: Authenticator,
    link: NatsConnection | None,
    work: LongWork,
) -> AppState:
    """The parts of the service, each told of those it needs. Nothing runs yet."""
    measured = Metrics(registry)
    registry.on_write = measured.write
    registry.on_masked = measured.masked
    events = _event_consumer(settings, registry, link, measured) if link else None
    silence = _silence_watch(settings, registry, link, events) if link and events else None
    measured.watch_events(lambda: silence.positions.values() if silence else ())
    configuration = Renderer(registry, settings.route_hold_seconds)
    court = Validator(ValidatorProcess(), gateway_version() if settings.check_with_gateway else None)
    kept = AcceptedFile(settings.cache_dir)
    judge = ConfigPublisher(
        registry, configuration.of, court, kept, steady=configuration.steady, on_verdict=measured.verdict
    )
    measured.watch_delivery(lambda: judge.delivery)
    steps = Broadcast()
    registry.listeners.append(lambda *_: steps.tell())
    return AppState(
        settings=settings,
        registry=registry,
        history=History(
            database, registry, log_database=log_database, questions=work.history.run, edits=work.guard.run
        ),
        authenticator=authenticator,
        metrics=measured,
        configuration=configuration,
        judge=judge,
        checks=CheckSlots(),
        indexes=ModelIndexes(),
        steps=steps,
        events=events,
        silence=silence,
        heartbeats=Heartbeats(database),
        rejections=RejectedEvents(log_database),
        work=work,
    )


def _http(service: AppState, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    """The doors to it."""
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
    app.state.service = service
    app.state.bodies = BodyCache()
    app.state.before_stop = service.release
    for router in _ROUTERS:
        app.include_router(router)
    problems.install(app)
    describe(app)
    app.add_middleware(RegistryMiddleware, service=service, bodies=app.state.bodies)
    return app


def _event_consumer(settings: Settings, registry: Registry, link: NatsConnection, measured: Metrics) -> EventConsumer:
    recorder = EventRecorder(registry, link, default_node=settings.default_node, count=measured.events)
    limits = StreamLimits(
        max_age_seconds=settings.stream_max_age_hours * 3600,
        max_bytes=settings.stream_max_mb * 2**20,
        replicas=settings.stream_replicas,
        in_flight=settings.events_in_flight,
    )
    wait = settings.heartbeat_seconds / LOOKS_PER_HEARTBEAT
    return EventConsumer(link, recorder, limits, heartbeats_wait_seconds=wait)


def _silence_watch(settings: Settings, registry: Registry, link: NatsConnection, events: EventConsumer) -> NodeLiveness:
    beat, lost_after = settings.heartbeat_seconds, settings.lost_after_heartbeats
    return NodeLiveness(registry, link, events, heartbeat_seconds=beat, lost_after=lost_after)


def _nats_login(settings: Settings) -> NatsLogin | None:
    """Where NATS is and how we get in, when it is used."""
    if settings.nats_url is None:
        return None
    return NatsLogin(
        settings.nats_url.get_secret_value(),
        user=settings.nats_user,
        password=settings.nats_password.get_secret_value() if settings.nats_password else None,
        token=settings.nats_token.get_secret_value() if settings.nats_token else None,
        nkey=settings.nats_nkey,
        creds=settings.nats_creds,
        ca=settings.nats_ca,
        cert=settings.nats_cert,
        key=settings.nats_key,
    )


async def _run_workers(service: AppState, link: NatsConnection | None, stack: AsyncExitStack) -> None:
    """Start from disk or database, then everything that runs without a request; stopped in reverse order."""
    registry, settings = service.registry, service.settings
    source = settings.supabase_url or settings.postgrest_url or ""
    file = SnapshotFile(settings.cache_dir, f"{source}#{settings.db_schema}")
    saved = file.load()
    if saved is not None:
        registry.restore(saved)
    try:
        await registry.refresh_within(_START_SECONDS)
    except RegistryError as error:
        start = "the last snapshot" if registry.loaded else "nothing: no snapshot was saved here"
        log.warning("the database does not answer at start", starting_from=start, error=error.message)
    if registry.loaded and not service.authenticator.has_keys():
        log.warning("no API key is configured: writes are refused", what_to_do=HOW_TO_SET_A_KEY)

    _warn_of_missing_walls()
    stack.callback(service.release)
    service.judge.start()
    stack.push_async_callback(_within_reason, service.judge.stop)
    saver = SnapshotSaver(registry, file)
    saver.start()
    stack.push_async_callback(_within_reason, saver.stop)
    refresher = Refresher(registry, settings.poll_seconds)
    refresher.start()
    stack.push_async_callback(_within_reason, refresher.stop)
    if settings.keep_changes_days is not None:
        trimmer = ChangeLogTrimmer(service.history, settings.keep_changes_days)
        trimmer.start()
        stack.push_async_callback(_within_reason, trimmer.stop)
    if link is not None and service.events is not None:
        stack.push_async_callback(_within_reason, link.stop)
        announcements = ChangePublisher(registry, link, refresher.wake)
        announcements.start()
        stack.push_async_callback(_within_reason, announcements.stop)
        service.events.start()
        stack.push_async_callback(_within_reason, service.events.stop)
        link.start()
    if service.silence is not None:
        service.silence.start()
        stack.push_async_callback(_within_reason, service.silence.stop)


def _warn_of_missing_walls() -> None:
    if missing := missing_walls():
        log.warning("CHECKS OF CONFIGURATIONS ARE NOT SHUT IN: this kernel lacks walls", missing=missing)


async def _within_reason(stop: Callable[[], Awaitable[None]]) -> None:
    """Stop one part; one that does not end in time is said and left behind, so that the service always ends."""
    stopping = asyncio.ensure_future(stop())
    done, _ = await asyncio.wait([stopping], timeout=_STOP_SECONDS)
    if done:
        stopping.result()
    else:
        log.error("a part of the service did not stop in time; going on without it", part=stop.__qualname__)


def _instance_name() -> str:
    """Tells this process apart from every other replica, also after a restart."""
    return f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
