"""`/predict`, `/predict-multistep`, `/forecast`, `/train`, and `/dispatch/{model_type}/{capability}/{path}`."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from urllib.parse import unquote, unquote_to_bytes

from model_registry.api.dispatch.aggregate import MOST_SOURCES, Source, aggregate_of, ask_all, names_of, respond_with
from model_registry.api.dispatch.door import Door
from model_registry.api.dispatch.fields import (
    MODEL_TYPE,
    MODEL_VERSION,
    Fields,
    invalid,
    read_fields,
    read_first_fields,
    with_version,
)
from model_registry.api.dispatch.request import DispatchRequest
from model_registry.api.dispatch.training import TrainingJobs
from model_registry.entities.model_service import ModelService
from model_registry.entities.service_capabilities import CAPABILITIES, PREDICTION, TRAINING
from model_registry.entities.spelling import MOST_LISTED, listed, suggestion
from model_registry.errors import BodyTooLarge, NoInstance, NotAllowed, NotFound
from model_registry.services.directory import InstanceDirectory
from model_registry.services.dispatch.caller_body import KEPT_BYTES, CallerBody
from model_registry.services.dispatch.dispatcher import Dispatcher
from model_registry.services.dispatch.plan import Plan
from model_registry.services.dispatch.targets import Target
from model_registry.services.request_limits import RequestLimits, request_limits
from model_registry.services.versions import LATEST, Versions
from model_registry.settings import Settings
from model_registry.store.registry import Registry

MOST_JSON_BYTES = 8 * 2**20
"""A body up to here is read whole, and its fields may stand anywhere in it."""
GENERAL = "/dispatch/"
_PATHS = {name: capability.path.encode() for name, capability in CAPABILITIES.items()}
_OF_AGGREGATES = frozenset({"aggregate", "model_types", "versions"})
_NOBODY_SECONDS = 10
"""After which it is worth asking again where no instance is."""
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
        request.refuse_parameters()
        begun, whole = await request.read(MOST_JSON_BYTES)
        fields = read_fields(begun) if whole else read_first_fields(begun)
        if fields is None:
            raise _unreadable(capability)
        if fields.own.keys() & _OF_AGGREGATES:
            await self._ask_several(capability, fields, request)
            return
        body = fields.rest if whole else request.rest(fields.rest, cut=len(begun) - len(fields.rest))
        service = self._find(request, self._model_type(fields))
        if capability == TRAINING and self._training.takes(request, service.name):
            request.capability = TRAINING
            request.sent = False  # jobs remember their Idempotency-Keys, in the database
            await self._training.train(request, service.name, fields if whole else None)
            return
        plan = self._plan(request, service, capability, body, version=fields.text(MODEL_VERSION))
        _expect_able(plan)
        await request.respond(await self._dispatcher.dispatch(plan, request.upstream_headers()))

    async def _ask_several(self, capability: str, fields: Fields, request: DispatchRequest) -> None:
        """Ask several versions or model types at once. Errors: Invalid, NotFound, those of `ask_all`."""
        if capability != PREDICTION:
            raise invalid("aggregate", f"is for {CAPABILITIES[PREDICTION].path} alone")
        mode = aggregate_of(fields)
        versions = names_of(fields, "versions")
        if versions is not None and MODEL_VERSION in fields.own:
            raise invalid(MODEL_VERSION, "and `versions` exclude each other")
        sources: dict[tuple[str, str | None], Source] = {}
        for model_type in names_of(fields, "model_types") or [self._model_type(fields)]:
            service = self._find(request, model_type)
            given = fields.text(MODEL_VERSION)
            names: Sequence[str | None] = versions or ([given] if given else service.versions.names)
            for version in names or [None]:
                if len(sources) >= MOST_SOURCES and (service.name, version) not in sources:
                    raise invalid("versions", f"these are too many models; at most {MOST_SOURCES} are asked at once")
                plan = self._plan(request, service, capability, fields.rest, version=version)
                sources[service.name, version] = Source(service.name, version, plan)
        asked = list(sources.values())
        await respond_with(request, asked, await ask_all(self._dispatcher, asked, request, mode))

    async def pass_on(self, request: DispatchRequest) -> None:
        """Any request, passed on unchanged: its path says to whom. Errors: those of `Dispatcher.dispatch`, NotFound."""
        model_type, capability, path = _parts(request.scope["raw_path"])
        service = self._find(request, model_type)
        if query := request.scope["query_string"]:
            path = path + b"?" + query
        begun, whole = await request.read(KEPT_BYTES)
        body = begun if whole else request.rest(begun)
        plan = self._plan(request, service, capability, body, path=path)
        _expect_able(plan)
        await request.respond(await self._dispatcher.dispatch(plan, request.upstream_headers()))

    def _find(self, request: DispatchRequest, model_type: str) -> _Service:
        """The model service, for a caller who may use it. Errors: NotAllowed, NotFound."""
        if not request.caller.may_use(model_type):
            raise NotAllowed(f"API key {request.caller.name!r} may not send requests to {model_type!r}.")
        snapshot = self._registry.snapshot
        row, versions = self._directory.find(snapshot, model_type)
        known = self._services.get(row.id)
        if known is None or known.versions is not versions:
            instances = snapshot.instances.where("model_service", row.id)
            known = self._services[row.id] = _Service(row, versions, request_limits(row, instances, self._settings))
        request.name = known.name
        return known

    def _model_type(self, fields: Fields) -> str:
        model_type = fields.text(MODEL_TYPE)
        if model_type is None:
            names = sorted(service.model_type for service in self._registry.snapshot.model_services)
            raise invalid(MODEL_TYPE, f"is required; known here: {listed(names)}")
        return model_type

    def _plan(
        self,
        request: DispatchRequest,
        service: _Service,
        capability: str,
        body: bytes | CallerBody,
        *,
        path: bytes | None = None,
        version: str | None = None,
    ) -> Plan:
        """What to do with a request; with a path it is of the general form. Errors: NotFound."""
        limits = service.limits
        choice = service.choose(version)
        if capability in choice.capabilities:
            request.capability = capability
        request.sent = False
        is_read = request.method in _READS and capability != TRAINING
        return Plan(
            name=service.name,
            capability=capability,
            targets=choice.targets,
            strategy=limits.strategy,
            repeatable=is_read or limits.repeatable(capability),
            total_seconds=limits.seconds(capability),
            method=request.method.encode(),
            path=_PATHS[capability] if path is None else path,
            body=body,
            streams=path is not None,
            sticky=_value_of(request, service.sticky_header),
            most_tries=limits.most_tries,
            queue=limits.queue,
            queue_seconds=limits.queue_seconds,
            on_sent=request.note_sent,
            rewrite=_for_version if choice.has_versions and path is None else None,
        )


class _Service:
    """What is worked out once for each state of a model service."""

    __slots__ = ("_choices", "limits", "name", "selected_version", "sticky_header", "versions")

    def __init__(self, row: ModelService, versions: Versions, limits: RequestLimits) -> None:
        self.name = row.model_type
        self.selected_version = row.selected_version
        self.versions = versions
        self.limits = limits
        self.sticky_header = row.sticky_header.lower().encode() if row.sticky_header else None
        self._choices: dict[int, _Choice] = {}

    def choose(self, version: str | None) -> _Choice:
        """The targets for a version. Errors: NotFound, NoInstance."""
        targets = self.versions.targets(version, chance=random.random())  # noqa: S311 (divides the load)
        if not targets:
            raise _no_target(self, version)
        choice = self._choices.get(id(targets))
        if choice is None or choice.targets is not targets:
            choice = self._choices[id(targets)] = _Choice(targets)
        return choice


class _Choice:
    """Targets, and what is the same for each request to them."""

    __slots__ = ("capabilities", "has_versions", "targets")

    def __init__(self, targets: Sequence[Target]) -> None:
        self.targets = targets
        self.capabilities = frozenset[str]().union(*(target.capabilities for target in targets))
        self.has_versions = any(target.version for target in targets)


def _parts(raw_path: bytes) -> tuple[str, str, bytes]:
    """Model type, capability, and the path below the instance's address: the capability's own where none is given.

    Errors: NotFound.
    """
    model_type, _, rest = raw_path[len(GENERAL) :].partition(b"/")
    capability, slash, path = rest.partition(b"/")
    if not model_type or not capability:
        raise NotFound("Name the model type and the capability: /dispatch/{model_type}/{capability}/{path}.")
    segments = unquote_to_bytes(path).replace(b"\\", b"/").split(b"/")
    if any(segment.partition(b";")[0] in {b".", b".."} for segment in segments):  # `..;a=1` is `..` to Java
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


def _expect_able(plan: Plan) -> None:
    """Refuse what no instance was registered for: to ask again does not help. Errors: NotFound."""
    if any(plan.capability in target.capabilities for target in plan.targets):
        return
    able = sorted(frozenset[str]().union(*(target.capabilities for target in plan.targets)))
    raise NotFound(
        f"{plan.name}: no instance has the capability {plan.capability!r}; those that are registered have: "
        f"{listed(able)}. Register an instance that declares it.",
        allowed=able[:MOST_LISTED],
    )


def _no_target(service: _Service, version: str | None) -> NotFound | NoInstance:
    names, selected = service.versions.names, service.selected_version
    if version not in (None, LATEST):
        return NotFound(
            f"{service.name} has no version {version!r}; {suggestion(version, names)}. `latest` is the newest.",
            allowed=names[:MOST_LISTED],
        )
    why = "no instance is registered"
    if selected not in (None, LATEST):
        why = f"no instance has the selected version {selected!r}; those that are registered have: {listed(names)}"
    return NoInstance(f"{service.name}: {why}.", retry_after=_NOBODY_SECONDS)


def _unreadable(capability: str) -> BodyTooLarge:
    return BodyTooLarge(
        f"In a body over {MOST_JSON_BYTES // 2**20} MiB, `model_type` must come first, then `model_version`, if any. "
        f"Or send it to /dispatch/{{model_type}}/{capability}, which passes any body on unchanged."
    )
