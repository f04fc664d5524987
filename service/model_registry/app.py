"""The only place that wires things together: settings in, a running service out."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import structlog
from fastapi import FastAPI

from model_registry.api.app_state import AppState
from model_registry.api.application import http_application
from model_registry.api.auth import HOW_TO_SET_A_KEY, Authenticator
from model_registry.api.check_slots import CheckSlots
from model_registry.api.dispatch.metrics import DispatchMetrics
from model_registry.api.edits import new_id
from model_registry.api.gateways.metrics import GatewayMetrics
from model_registry.api.instance_metrics import InstanceMetrics
from model_registry.api.job_metrics import JobMetrics
from model_registry.api.long_work import LongWork
from model_registry.api.metrics import Metrics
from model_registry.api.source_metrics import SourceMetrics
from model_registry.background.change_publisher import ChangePublisher
from model_registry.background.supervisor import Supervisor, Worker
from model_registry.background.workers import (
    TRIM_REST_SECONDS,
    Refresher,
    SnapshotSaver,
    load_first_snapshot,
    trim_change_log,
)
from model_registry.confinement.walls import missing_walls
from model_registry.discovery.composition import make_discovery
from model_registry.discovery.discovery import Discovery
from model_registry.fleet.event_consumer import EventConsumer
from model_registry.fleet.event_recorder import EventRecorder
from model_registry.fleet.jetstream_setup import StreamLimits
from model_registry.fleet.liveness import LOOKS_PER_HEARTBEAT, NodeLiveness
from model_registry.gateways.publishing.composition import make_publishers
from model_registry.gateways.publishing.publishers import GatewayPublishers
from model_registry.gateways.write_guard import WriteGuard
from model_registry.http11.connections import Connections
from model_registry.messaging.connection import USUAL, NatsConnection, Pace
from model_registry.messaging.login import NatsLogin
from model_registry.selection.model_index import ModelIndexes
from model_registry.services.dispatch.dispatcher import Dispatcher
from model_registry.services.dispatch.language_models import LanguageModels
from model_registry.services.dispatch.provider_keys import ProviderKeys
from model_registry.services.jobs.jobs import Jobs
from model_registry.services.jobs.parts import make_jobs
from model_registry.services.message_recorder import SERVICE_EVENTS, MessageRecorder
from model_registry.services.model_services import ModelServices, make_model_services
from model_registry.settings import Settings
from model_registry.store.client import LOG_CONNECTIONS, Database, connect
from model_registry.store.fleet_records import Heartbeats
from model_registry.store.history import History
from model_registry.store.registry import Registry
from model_registry.store.snapshot_file import SnapshotFile
from model_registry.store.supabase_auth import connect_tokens

log = structlog.get_logger(__name__)


async def create_app(settings: Settings, *, pace: Pace = USUAL) -> FastAPI:
    """Make the service. Its workers run while its lifespan does. Errors: StorageMisconfigured."""
    database, log_database = await connect(settings), await connect(settings, LOG_CONNECTIONS)
    tokens = await connect_tokens(settings)
    work = LongWork(settings.work_seconds)
    registry = _registry(settings, database, work)
    link = _nats_connection(settings, registry.origin, pace)
    authenticator = Authenticator(settings, registry, tokens.scopes if tokens else None)
    state = _state(settings, database, log_database, registry, authenticator, link, work, pace)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(database.close)
            stack.push_async_callback(log_database.close)
            stack.push_async_callback(state.dispatcher.aclose)
            stack.push_async_callback(state.model_services.connections.aclose)
            if tokens is not None:
                stack.push_async_callback(tokens.close)
            address = settings.supabase_url or settings.postgrest_url or ""
            file = SnapshotFile(settings.cache_dir, f"{address}#{settings.db_schema}")
            await load_first_snapshot(registry, file)
            _warn(state)
            stack.push_async_callback(state.discovery.close)
            supervisor = Supervisor(state.metrics.worker_failed)
            stack.callback(state.release)
            stack.push_async_callback(supervisor.stop)
            for worker in _workers(state, link, file):
                supervisor.start(worker)
            yield

    return http_application(state, lifespan)


def _registry(settings: Settings, database: Database, work: LongWork) -> Registry:
    return Registry(
        database,
        # Tells this process apart from every other replica, also after a restart.
        origin=f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}",
        check=WriteGuard().refuse,
        most_deployments=settings.most_deployments,
        most_nodes=settings.most_nodes,
        offload=work.guard.run,
    )


def _nats_connection(settings: Settings, name: str, pace: Pace) -> NatsConnection | None:
    if settings.nats_url is None:
        return None
    login = NatsLogin(
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
    return NatsConnection(login, name, echo=False, pace=pace)


def _state(  # noqa: PLR0913, PLR0917 (the parts)
    settings: Settings,
    database: Database,
    log_database: Database,
    registry: Registry,
    authenticator: Authenticator,
    link: NatsConnection | None,
    work: LongWork,
    pace: Pace,
) -> AppState:
    """The parts of the service, each given those it needs. Nothing runs yet."""
    metrics = Metrics(registry)
    history = _history(database, log_database, registry, work)
    events, liveness = _fleet(settings, registry, link, metrics)
    model_services, instance_metrics = _model_services(settings, registry, metrics)
    keys = ProviderKeys(os.environ)
    dispatcher, dispatch_metrics = _dispatcher(settings, model_services, keys, metrics)
    return AppState(
        settings=settings,
        registry=registry,
        history=history,
        authenticator=authenticator,
        metrics=metrics,
        publishers=_publishers(settings, registry, history, metrics),
        checks=CheckSlots(),
        indexes=ModelIndexes(),
        events=events,
        liveness=liveness,
        service_messages=_message_consumer(settings, registry, link, model_services, instance_metrics),
        heartbeats=Heartbeats(database),
        model_services=model_services,
        dispatcher=dispatcher,
        dispatch_metrics=dispatch_metrics,
        jobs=_counted(make_jobs(settings, database, registry, model_services, dispatcher, pace.retry), metrics),
        language_models=LanguageModels(keys, hold_seconds=settings.route_hold_seconds),
        work=work,
        discovery=_discovery(settings, database, registry, metrics),
    )


def _model_services(settings: Settings, registry: Registry, metrics: Metrics) -> tuple[ModelServices, InstanceMetrics]:
    """The parts that know model services, and what they count."""
    instances = InstanceMetrics(metrics.collected)
    services = make_model_services(settings, registry, new_id, instances.state_changed)
    instances.watch(registry, services)
    return services, instances


def _counted(jobs: Jobs, metrics: Metrics) -> Jobs:
    JobMetrics(metrics.collected, jobs)
    return jobs


def _history(database: Database, log_database: Database, registry: Registry, work: LongWork) -> History:
    return History(database, registry, log_database=log_database, questions=work.history.run, edits=work.guard.run)


def _dispatcher(
    settings: Settings, services: ModelServices, keys: ProviderKeys, metrics: Metrics
) -> tuple[Dispatcher, DispatchMetrics]:
    counted = DispatchMetrics(metrics.collected)
    parts = services.balancer, Connections()
    dispatcher = Dispatcher(*parts, key_of=keys.value, retry_delay=settings.retry_delay, tried=counted.failed_try)
    counted.watch(dispatcher)
    return dispatcher, counted


def _publishers(settings: Settings, registry: Registry, history: History, metrics: Metrics) -> GatewayPublishers:
    counted = GatewayMetrics(metrics.collected, metrics.validated)
    publishers = make_publishers(settings, registry, history, counted.validated, metrics.worker_failed)
    counted.watch(publishers)
    metrics.watch_delivery(lambda: publishers.default.delivery)
    return publishers


def _discovery(settings: Settings, database: Database, registry: Registry, metrics: Metrics) -> Discovery:
    observe = SourceMetrics(metrics.collected, registry).asked
    return make_discovery(settings, database, registry, new_id, observe)


def _fleet(
    settings: Settings, registry: Registry, link: NatsConnection | None, metrics: Metrics
) -> tuple[EventConsumer | None, NodeLiveness | None]:
    events = _event_consumer(settings, registry, link, metrics) if link and settings.role != "dispatch" else None
    liveness = _node_liveness(settings, registry, link, events) if link and events else None
    metrics.watch_events(lambda: liveness.positions.values() if liveness else ())
    return events, liveness


def _event_consumer(settings: Settings, registry: Registry, link: NatsConnection, metrics: Metrics) -> EventConsumer:
    recorder = EventRecorder(registry, link, default_node=settings.default_node, count=metrics.events)
    wait = settings.heartbeat_seconds / LOOKS_PER_HEARTBEAT
    return EventConsumer(link, recorder, _stream_limits(settings), heartbeats_wait_seconds=wait)


def _message_consumer(
    settings: Settings,
    registry: Registry,
    link: NatsConnection | None,
    services: ModelServices,
    metrics: InstanceMetrics,
) -> EventConsumer | None:
    if link is None or settings.role == "dispatch":
        return None
    recorder = MessageRecorder(registry, link, services, metrics.messages)
    return EventConsumer(link, recorder, _stream_limits(settings), events=SERVICE_EVENTS, at_once=1)


def _stream_limits(settings: Settings) -> StreamLimits:
    return StreamLimits(
        max_age_seconds=settings.stream_max_age_hours * 3600,
        max_bytes=settings.stream_max_mb * 2**20,
        replicas=settings.stream_replicas,
        in_flight=settings.events_in_flight,
    )


def _node_liveness(settings: Settings, registry: Registry, link: NatsConnection, events: EventConsumer) -> NodeLiveness:
    beat, lost = settings.heartbeat_seconds, settings.lost_after_heartbeats
    return NodeLiveness(registry, link, events, heartbeat_seconds=beat, lost_after=lost)


def _warn(state: AppState) -> None:
    if state.registry.loaded and not state.authenticator.has_keys():
        log.warning("no API key is configured: writes are refused", what_to_do=HOW_TO_SET_A_KEY)
    if state.registry.loaded and state.settings.role != "control" and not state.authenticator.has_keys():
        whom = "programs of this machine" if state.authenticator.is_local else "nobody"
        log.warning("no API key is configured", requests_are_dispatched_for=whom, what_to_do=HOW_TO_SET_A_KEY)
    if missing := missing_walls():
        log.warning("CHECKS OF CONFIGURATIONS ARE NOT SHUT IN: this kernel lacks walls", missing=missing)


def _workers(state: AppState, link: NatsConnection | None, file: SnapshotFile) -> Iterator[Worker]:
    """What runs without a request, in the order in which it starts."""
    registry, settings, services = state.registry, state.settings, state.model_services
    if settings.role != "dispatch":
        yield from _control_workers(state)
    saver = SnapshotSaver(registry, file)
    yield Worker("snapshot-saver", saver.run, after_stop=saver.save_last)
    refresher = Refresher(registry, settings.poll_seconds)
    yield Worker("refresher", refresher.run)
    yield Worker("instance-prober", services.prober.run)
    yield Worker("instance-liveness", services.liveness.run, after_stop=services.liveness.write)
    yield Worker("jobs", state.jobs.run, before_stop=state.jobs.stop)
    if link is not None:
        yield Worker("nats-connection", link.run, before_stop=link.flush)
        changes = ChangePublisher(registry, link, refresher.wake)
        yield Worker("change-publisher", changes.run, before_stop=changes.drain)
    if state.events is not None:
        yield Worker("event-consumer", state.events.run, before_stop=state.events.finish, after_stop=state.events.close)
    if (messages := state.service_messages) is not None:
        yield Worker("service-messages", messages.run, before_stop=messages.finish, after_stop=messages.close)
    if state.liveness is not None:
        yield Worker("node-liveness", state.liveness.run)


def _control_workers(state: AppState) -> Iterator[Worker]:
    """What a replica that only dispatches leaves to others: configurations, discovery, upkeep."""
    publishers, settings = state.publishers, state.settings
    publishers.follow()
    yield Worker("config-publishers", publishers.run, after_stop=publishers.close)
    if settings.keep_changes_days is not None:
        trim = partial(trim_change_log, state.history, settings.keep_changes_days)
        yield Worker("change-log-trimmer", trim, pause_seconds=TRIM_REST_SECONDS)
    if state.model_services.file is not None:
        yield Worker("services-file", state.model_services.file.run)
    yield Worker("discovery", state.discovery.run)
