"""`/predict`, `/predict-multistep`, `/forecast`, `/train`, and `/dispatch/{model_type}/{capability}/{path}`."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from urllib.parse import unquote, unquote_to_bytes

from model_registry.api.dispatch.door import Door
from model_registry.api.dispatch.fields import (
    MODEL_TYPE,
    MODEL_VERSION,
    Fields,
    read_fields,
    read_first_fields,
    with_version,
)
from model_registry.api.dispatch.request import DispatchRequest
from model_registry.api.dispatch.training import TrainingJobs
from model_registry.entities.service_capabilities import CAPABILITIES, TRAINING
from model_registry.entities.spelling import MOST_LISTED, listed, suggestion
from model_registry.errors import BodyTooLarge, Invalid, NotAllowed, NotFound, Reason
from model_registry.services.directory import InstanceDirectory
from model_registry.services.dispatch.caller_body import KEPT_BYTES, CallerBody
from model_registry.services.dispatch.dispatcher import Dispatcher
from model_registry.services.dispatch.plan import Plan
from model_registry.services.dispatch.targets import Target
from model_registry.services.request_limits import RequestLimits, request_limits
from model_registry.services.versions import Versions
from model_registry.settings import Settings
from model_registry.store.registry import Registry

MOST_JSON_BYTES = 16 * 2**20
"""A body up to here is read whole, and its fields may stand anywhere in it."""
GENERAL = "/dispatch/"
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class ModelServiceDoors:
    """Passes requests on to model services."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        dispatcher: Dispatcher,
        directory: InstanceDirectory,
        training: TrainingJobs,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._dispatcher = dispatcher
        self._directory = directory
        self._training = training
        self._services: dict[str, _Service] = {}

    def doors(self) -> dict[str, Door]:
        """The paths, and what takes them."""
        named = {
            capability.path: Door(partial(self.ask, name), frozenset({"POST"}), capability.path)
            for name, capability in CAPABILITIES.items()
        }
        general = Door(self.pass_on, None, f"{GENERAL}{{model_type}}/{{capability}}/{{path}}")
        return {**named, GENERAL: general}

    async def ask(self, capability: str, request: DispatchRequest) -> None:
        """A JSON body that says which model service is meant. Errors: those of `Dispatcher.dispatch`, Invalid."""
        if request.scope["query_string"]:
            raise _invalid("query", "this path takes no parameters")
        begun, whole = await request.read(MOST_JSON_BYTES)
        fields = read_fields(begun) if whole else read_first_fields(begun)
        if fields is None:
            raise _unreadable(capability)
        body = fields.rest if whole else request.rest(fields.rest, cut=len(begun) - len(fields.rest))
        version = fields.text(MODEL_VERSION)
        path = CAPABILITIES[capability].path.encode()
        service = self._find(request, self._model_type(fields))
        if capability == TRAINING and self._training.takes(request, service.name):
            request.capability = TRAINING
            await self._training.train(request, service.name, fields if whole else None)
            return
        plan = self._plan(request, service, capability, path, body, version=version)
        await request.respond(await self._dispatcher.dispatch(plan, request.upstream_headers()))

    async def pass_on(self, request: DispatchRequest) -> None:
        """Any request, passed on unchanged: its path says to whom. Errors: those of `Dispatcher.dispatch`, NotFound."""
        model_type, capability, path = _parts(request.scope["raw_path"])
        service = self._find(request, model_type)
        if query := request.scope["query_string"]:
            path = path + b"?" + query
        begun, whole = await request.read(KEPT_BYTES)
        body = begun if whole else request.rest(begun)
        plan = self._plan(request, service, capability, path, body, streams=True)
        await request.respond(await self._dispatcher.dispatch(plan, request.upstream_headers()))

    def _find(self, request: DispatchRequest, model_type: str) -> _Service:
        """The model service, for a caller who may use it. Errors: NotAllowed, NotFound."""
        if not request.caller.may_use(model_type):
            raise NotAllowed(f"API key {request.caller.name!r} may not send requests to {model_type!r}.")
        snapshot = self._registry.snapshot
        row, versions = self._directory.find(snapshot, model_type)
        stamps = (row, snapshot.instances.stamp)
        known = self._services.get(row.id)
        if known is None or known.stamps != stamps:
            limits = request_limits(row, snapshot.instances.where("model_service", row.id), self._settings)
            sticky = row.sticky_header.lower().encode() if row.sticky_header else None
            known = self._services[row.id] = _Service(row.model_type, stamps, limits, sticky, versions)
        known.versions = versions
        request.name = known.name
        return known

    def _model_type(self, fields: Fields) -> str:
        model_type = fields.text(MODEL_TYPE)
        if model_type is None:
            names = sorted(service.model_type for service in self._registry.snapshot.model_services)
            raise _invalid(MODEL_TYPE, f"is required; known here: {listed(names)}")
        return model_type

    def _plan(
        self,
        request: DispatchRequest,
        service: _Service,
        capability: str,
        path: bytes,
        body: bytes | CallerBody,
        *,
        version: str | None = None,
        streams: bool = False,
    ) -> Plan:
        limits = service.limits
        targets = service.versions.targets(version, chance=random.random())  # noqa: S311 (divides the load)
        if not targets and version is not None:
            raise _no_version(service, version)
        if any(capability in target.capabilities for target in targets):
            request.capability = capability
        is_read = request.method in _READS and capability != TRAINING
        return Plan(
            name=service.name,
            capability=capability,
            targets=targets,
            strategy=limits.strategy,
            repeatable=is_read or limits.repeatable(capability),
            total_seconds=limits.seconds(capability),
            method=request.method.encode(),
            path=path,
            body=body,
            streams=streams,
            sticky=_value_of(request, service.sticky_header),
            most_tries=limits.most_tries,
            queue=limits.queue,
            queue_seconds=limits.queue_seconds,
            rewrite=None if streams or not any(target.version for target in targets) else _for_version,
        )


@dataclass(slots=True)
class _Service:
    """What is worked out once for each state of a model service."""

    name: str
    stamps: tuple[object, object]
    limits: RequestLimits
    sticky_header: bytes | None
    versions: Versions


def _parts(raw_path: bytes) -> tuple[str, str, bytes]:
    """Model type, capability, and the path below the instance's address: the capability's own where none is given.

    Errors: NotFound.
    """
    model_type, _, rest = raw_path[len(GENERAL) :].partition(b"/")
    capability, slash, path = rest.partition(b"/")
    if not model_type or not capability:
        raise NotFound("Name the model type and the capability: /dispatch/{model_type}/{capability}/{path}.")
    segments = unquote_to_bytes(path).replace(b"\\", b"/").split(b"/")
    if b"." in segments or b".." in segments:
        raise NotFound("The path must not contain the segments `.` and `..`: it stays below the instance's address.")
    name = unquote(capability.decode("latin-1"))
    own = CAPABILITIES.get(name)
    below = slash + path if slash or own is None else own.path.encode()
    return unquote(model_type.decode("latin-1")), name, below


def _value_of(request: DispatchRequest, header: bytes | None) -> str | None:
    value = request.asked.get(header) if header is not None else None
    return value.decode("latin-1") if value is not None else None


def _for_version(target: Target, rest: bytes) -> bytes:
    return rest if target.version is None else with_version(rest, target.version)


def _no_version(service: _Service, version: str) -> NotFound:
    names = service.versions.names
    return NotFound(
        f"{service.name} has no version {version!r}; {suggestion(version, names)}. `latest` is the newest.",
        allowed=names[:MOST_LISTED],
    )


def _unreadable(capability: str) -> BodyTooLarge:
    return BodyTooLarge(
        f"In a body over {MOST_JSON_BYTES // 2**20} MiB, `model_type` must come first, then `model_version`, if any. "
        f"Or send it to /dispatch/{{model_type}}/{capability}, which passes any body on unchanged."
    )


def _invalid(where: str, message: str) -> Invalid:
    return Invalid(f"{where}: {message}", reasons=[Reason(where, message)])
