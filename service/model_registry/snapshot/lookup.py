"""Finds the one row for a reference: by id, name, or the provider's name. Filters of lists are in `selection/`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar
from uuid import UUID

from model_registry.entities.base import Row
from model_registry.entities.config import ConfigFile, ConfigSection
from model_registry.entities.deployment import Deployment
from model_registry.entities.function import Function, Mapping
from model_registry.entities.gateway import DEFAULT_GATEWAY, Gateway
from model_registry.entities.model import Alias, Category, Model
from model_registry.entities.model_service import ModelService, ServiceInstance
from model_registry.entities.provider import Provider
from model_registry.entities.source import Source
from model_registry.entities.spelling import MOST_LISTED, letters_of, nearest, question
from model_registry.errors import AmbiguousName, ModelNotFound, NotFound
from model_registry.snapshot.snapshot import Snapshot

R = TypeVar("R", bound=Row)

_DIGITS_OF_UUID = 32


def as_uuid(reference: str) -> str | None:
    """Return a UUID in the canonical form of ids; None for other references."""
    if len(reference) < _DIGITS_OF_UUID:
        return None  # what most names are: an exception takes ten times as long
    try:
        return str(UUID(reference))
    except ValueError:
        return None


def find_provider(snapshot: Snapshot, reference: str) -> Provider:
    """Find by id or name. Errors: NotFound."""
    provider = snapshot.providers.get(as_uuid(reference)) or _only(snapshot.providers.where("name", reference))
    return _required(provider, "provider", reference, among=(p.name for p in snapshot.providers))


def find_category(snapshot: Snapshot, reference: str) -> Category:
    """Find by id or key. Errors: NotFound."""
    category = snapshot.categories.get(as_uuid(reference)) or _only(snapshot.categories.where("key", reference))
    return _required(category, "category", reference, among=(c.key for c in snapshot.categories))


def find_model(snapshot: Snapshot, reference: str, provider: str | None = None) -> Model:
    """Find by id, else by name, `provider/name`, the provider's name of the model, or alias, in this order.

    `provider` (id or name) selects among rows that share the name. Errors: ModelNotFound, AmbiguousName, NotFound.
    """
    model = snapshot.models.get(as_uuid(reference))
    if model is not None:
        return model
    provider_id = find_provider(snapshot, provider).id if provider is not None else None
    if fitting := _called(snapshot, reference, provider_id):
        return _single(fitting, f"The model {reference!r}", lambda m: model_label(snapshot, m), " or provider/name")
    offered = f" at the provider {provider!r}" if provider is not None else ""
    names = _names_of_models(snapshot, with_providers="/" in reference)
    message = f"There is no model {reference!r}{offered}.{question(reference, names)}"
    raise ModelNotFound(message)


def find_models(snapshot: Snapshot, reference: str) -> list[Model]:
    """Find all rows that a reference matches. Errors: ModelNotFound."""
    is_id = snapshot.models.get(as_uuid(reference)) is not None
    return (not is_id and _called(snapshot, reference, None)) or [find_model(snapshot, reference)]


def _called(snapshot: Snapshot, reference: str, provider_id: str | None) -> list[Model]:
    if fitting := named(snapshot, reference, provider_id):
        return fitting
    aliased = _distinct(snapshot.models.get(alias.model_id) for alias in snapshot.aliases.where("alias", reference))
    return [m for m in aliased if provider_id in (None, m.provider_id)]


def named(snapshot: Snapshot, reference: str, provider_id: str | None = None) -> list[Model]:
    """Return the models that a reference means by their names and their providers': before aliases count."""
    for candidates in (
        snapshot.models.where("name", reference),
        _at_provider(snapshot, reference),
        snapshot.models.where("model_id", reference),
    ):
        if fitting := [m for m in candidates if provider_id in (None, m.provider_id)]:
            return fitting
    return []


def _at_provider(snapshot: Snapshot, reference: str) -> list[Model]:
    """Return the models that `provider/name` means: the name is ours, else the provider's."""
    for provider_name, name in splits(reference):
        for provider in snapshot.providers.where("name", provider_name):
            for by in ("name", "model_id"):
                if fitting := [m for m in snapshot.models.where(by, name) if m.provider_id == provider.id]:
                    return fitting
    return []


def _names_of_models(snapshot: Snapshot, *, with_providers: bool) -> set[str]:
    names = {m.name for m in snapshot.models} | {m.model_id for m in snapshot.models}
    names |= {alias.alias for alias in snapshot.aliases}
    if with_providers:
        providers = {p.id: p.name for p in snapshot.providers}
        names |= {f"{providers.get(m.provider_id)}/{m.name}" for m in snapshot.models}
    return names


def model_label(snapshot: Snapshot, model: Model) -> str:
    """Name a model with its provider, for messages."""
    provider = snapshot.providers.get(model.provider_id)
    return f"{model.name} ({model.model_id} at {provider.name if provider else model.provider_id})"


def find_alias(snapshot: Snapshot, reference: str) -> Alias:
    """Find by id or alias. Errors: NotFound, AmbiguousName (one alias in several contexts)."""
    alias = snapshot.aliases.get(as_uuid(reference))
    if alias is not None:
        return alias
    fitting = snapshot.aliases.where("alias", reference)
    if not fitting:
        message = f"There is no alias {reference!r}.{question(reference, {a.alias for a in snapshot.aliases})}"
        raise NotFound(message)
    return _single(fitting, f"The alias {reference!r}", lambda a: f"{a.alias} in context {a.context or '(any)'}")


def find_function(snapshot: Snapshot, reference: str) -> Function:
    """Find by id, gateway name, or `service/function`. Errors: NotFound, AmbiguousName (at several gateways)."""
    match = snapshot.functions.get(as_uuid(reference))
    if match is None and (fitting := snapshot.functions.where("name", reference)):
        return _single(fitting, f"The function {reference!r}", _function_label, " or service/function")
    for service, function in splits(reference):
        match = match or _only(snapshot.functions.where("key", (service, function)))
    return _required(match, "function", reference, among=(f.name for f in snapshot.functions))


def _function_label(function: Function) -> str:
    return f"{function.service_name}/{function.function_name} of the gateway {function.gateway}"


def find_service(snapshot: Snapshot, reference: str) -> str:
    """Find a service that has mappings, by name; else the only one whose name is spelled alike.

    Errors: NotFound, which names those that are near.
    """
    names = sorted(map(str, snapshot.mappings.keys("service")))
    letters = letters_of(reference)
    alike = [name for name in names if name == reference] or [name for name in names if letters_of(name) == letters]
    if len(alike) == 1:
        return alike[0]
    near = alike or [name for name in (nearest(reference, names),) if name]
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else " All services: GET /api/services."
    raise NotFound(f"The service {reference!r} has no mappings.{hint}", allowed=near or names[:MOST_LISTED])


def find_mapping(snapshot: Snapshot, reference: str) -> Mapping:
    """Find by id or `service/function/variant`. Errors: NotFound."""
    by_id = snapshot.mappings.get(as_uuid(reference))
    if by_id is not None:
        return by_id
    for service, rest in splits(reference):
        for function, variant in splits(rest):
            for mapping in snapshot.mappings.where("function", (service, function)):
                if mapping.variant_name == variant:
                    return mapping
    message = f"There is no mapping {reference!r}. Give its id, or service/function/variant."
    raise NotFound(message)


def find_deployment(snapshot: Snapshot, reference: str) -> Deployment:
    """Find by id or `node/provider_type/model`. Errors: NotFound."""
    match = snapshot.deployments.get(as_uuid(reference))
    for node, rest in splits(reference):
        for provider_type, model in splits(rest):
            match = match or _only(snapshot.deployments.where("key", (node, provider_type, model)))
    return _required(match, "deployment", reference, " Give its id, or node/provider_type/model.")


def find_model_service(snapshot: Snapshot, reference: str) -> ModelService:
    """Find by id or model type, without case. Errors: NotFound."""
    service = snapshot.model_services.get(as_uuid(reference))
    service = service or _only(snapshot.model_services.where("type", reference.lower()))
    return _required(service, "model service", reference, among=(s.model_type for s in snapshot.model_services))


def find_instance(snapshot: Snapshot, reference: str) -> ServiceInstance:
    """Find by its own id (`service_id`), else by ours. Errors: NotFound."""
    instance = _only(snapshot.instances.where("service_id", reference)) or snapshot.instances.get(as_uuid(reference))
    return _required(instance, "instance", reference, among=(i.service_id for i in snapshot.instances))


def find_source(snapshot: Snapshot, reference: str) -> Source:
    """Find by id or name. Errors: NotFound."""
    source = snapshot.sources.get(as_uuid(reference)) or _only(snapshot.sources.where("name", reference))
    return _required(source, "source", reference, among=(s.name for s in snapshot.sources))


def find_gateway(snapshot: Snapshot, reference: str) -> Gateway:
    """Find by id or name. Errors: NotFound."""
    gateway = snapshot.gateways.get(as_uuid(reference)) or _only(snapshot.gateways.where("name", reference))
    return _required(gateway, "gateway", reference, among=(g.name for g in snapshot.gateways))


def find_file(snapshot: Snapshot, path: str, gateway: str = DEFAULT_GATEWAY) -> ConfigFile:
    """By path, in a gateway's content. Errors: NotFound."""
    found = [file for file in snapshot.files.where("path", path) if file.gateway == gateway]
    return _required(_only(found), "file", path, among=(f.path for f in snapshot.files if f.gateway == gateway))


def find_section(snapshot: Snapshot, name: str, gateway: str = DEFAULT_GATEWAY) -> ConfigSection:
    """By name, in a gateway's content. Errors: NotFound."""
    found = [section for section in snapshot.sections.where("name", name) if section.gateway == gateway]
    return _required(_only(found), "section", name, among=(s.name for s in snapshot.sections if s.gateway == gateway))


def splits(reference: str) -> Iterable[tuple[str, str]]:
    """Return every split at a slash: names may contain slashes."""
    parts = reference.split("/")
    return (("/".join(parts[:i]), "/".join(parts[i:])) for i in range(1, len(parts)))


def _distinct(rows: Iterable[R | None]) -> list[R]:
    return list({row.id: row for row in rows if row is not None}.values())


def _only(rows: Sequence[R]) -> R | None:
    return rows[0] if rows else None


def _required(row: R | None, kind: str, reference: str, hint: str = "", among: Iterable[str] = ()) -> R:
    if row is None:
        message = f"There is no {kind} {reference!r}.{hint}{question(reference, set(among))}"
        raise NotFound(message)
    return row


def _single(rows: Sequence[R], what: str, label: Callable[[R], str], other: str = "") -> R:
    if len(rows) == 1:
        return rows[0]
    choices = [{"id": row.id, "label": label(row)} for row in rows]
    message = (
        f"{what} matches {len(rows)} rows: {', '.join(c['label'] for c in choices)}. Use the id{other} of one of them."
    )
    raise AmbiguousName(message, matches=choices)
