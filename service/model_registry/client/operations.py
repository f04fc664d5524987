"""Everything a client can do, written once: `Client` does it at once, `AsyncClient` when it is awaited."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from model_registry.client.catalogue import Catalogue
from model_registry.client.core import Core, Flow
from model_registry.client.requests import Call, Json, Rows, enveloped, items_of, json_object, quoted
from model_registry.client.rows import CatalogAlias, CatalogMapping, CatalogModel, ServiceModel, ServiceRow
from model_registry.entities.category import Category
from model_registry.entities.deployment import Deployment
from model_registry.entities.fitness import FitnessResult, Use
from model_registry.entities.function import Function
from model_registry.entities.provider import Provider

P = ParamSpec("P")
T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)


class Blocking(Protocol):
    """A client that does things at once."""

    core: Core

    def carry_out(self, flow: Flow[T]) -> T:
        """Do what the flow says."""


class Awaiting(Protocol):
    """A client that does things when it is awaited."""

    core: Core

    async def carry_out(self, flow: Flow[T]) -> T:
        """Do what the flow says."""


class operation(Generic[P, T]):  # noqa: N801 (used like a decorator: `list_models = operation(...)`)
    """A flow as a method of whichever client it is found on."""

    def __init__(self, flow: Callable[Concatenate[Core, P], Flow[T]]) -> None:
        self._flow = flow
        self.__doc__ = flow.__doc__

    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, T]: ...

    @overload
    def __get__(self, client: Awaiting, owner: type) -> Callable[P, Awaitable[T]]: ...

    def __get__(self, client: Any, owner: type) -> Any:
        """The method."""
        if client is None:
            return self

        @functools.wraps(self._flow)
        def method(*args: P.args, **more: P.kwargs) -> Any:  # noqa: ANN401 (a value, or what to await)
            return client.carry_out(self._flow(client.core, *args, **more))

        return method


def asks(call: Callable[P, Call[T]]) -> operation[P, T]:
    """The operation that is one question."""

    def flow(core: Core, /, *args: P.args, **more: P.kwargs) -> Flow[T]:
        return core.ask(call(*args, **more))

    flow.__doc__ = call.__doc__
    return operation(flow)


_PROVIDERS = Rows("providers", Provider)
_CATEGORIES = Rows("categories", Category)
_MODELS = Rows("models", CatalogModel)
_ALIASES = Rows("aliases", CatalogAlias)
_FUNCTIONS = Rows("functions", Function)
_MAPPINGS = Rows("mappings", CatalogMapping)
_GARDEN = "/api/v1/registry"


def _list_services() -> Call[list[ServiceRow]]:
    """Services that have mappings, with their functions."""
    return Call("GET", "/api/services", items_of(ServiceRow))


def _models_for(service_name: str, function: str | None = None) -> Call[list[ServiceModel]]:
    """The models that serve a service, best first. Errors: NotFound."""
    path = f"/api/services/{quoted(service_name)}/models"
    return Call("GET", path, items_of(ServiceModel), {"function": function})


def _list_deployments(**filters: Any) -> Call[list[Deployment]]:  # noqa: ANN401 (the registry judges filters)
    """What is loaded where, as nodes said it."""
    return Call("GET", "/api/deployments", items_of(Deployment), filters)


def _select_models(**wishes: Any) -> Call[Json]:  # noqa: ANN401 (as above)
    """Models ranked by wishes, and why others are not among them: `POST /api/models/select`."""
    return Call("POST", "/api/models/select", json_object, body=wishes, repeatable=True)


def _estimate_costs(**usage: Any) -> Call[Json]:  # noqa: ANN401 (as above)
    """What so many tokens cost with several models: `POST /api/costs/estimate`."""
    return Call("POST", "/api/costs/estimate", json_object, body=usage, repeatable=True)


def _model_stats() -> Call[Json]:
    """How many models there are of what: `GET /api/models/stats`."""
    return Call("GET", "/api/models/stats", json_object)


def _tensorzero_config() -> Call[str]:
    """The newest configuration that a gateway accepts, as TOML."""
    return Call("GET", "/api/tensorzero/config", bytes.decode)


def _validate(model_id: str, use: Use, **hardware: Any) -> Call[FitnessResult]:  # noqa: ANN401 (as above)
    """Whether a model may be trained or served, here or on given hardware."""
    path = f"{_GARDEN}/validate/{use}"
    body = {"model_id": model_id, **hardware}
    return Call("POST", path, lambda content: FitnessResult(**enveloped(content)), body=body, repeatable=True)


def _export_document() -> Call[Json]:
    """The whole catalogue as one models_registry.json."""
    return Call("GET", f"{_GARDEN}/document", json_object)


def _import_document(document: Mapping[str, Any], *, dry_run: bool = False) -> Call[Json]:
    """Bring a models_registry.json in. Errors: InvalidModel, naming every place."""
    return Call("PUT", f"{_GARDEN}/document", enveloped, {"dry_run": dry_run}, dict(document))


def _catalogue(core: Core, /) -> Flow[Catalogue]:
    """The whole catalogue at one revision; with the registry away the last copy of it, whose age says so."""
    return core.catalogue()


class Operations:
    """What both clients have."""

    list_providers, get_provider = asks(_PROVIDERS.list), asks(_PROVIDERS.get)
    create_provider, replace_provider = asks(_PROVIDERS.create), asks(_PROVIDERS.replace)
    change_provider, delete_provider = asks(_PROVIDERS.change), asks(_PROVIDERS.delete)

    list_categories, get_category = asks(_CATEGORIES.list), asks(_CATEGORIES.get)
    create_category, replace_category = asks(_CATEGORIES.create), asks(_CATEGORIES.replace)
    change_category, delete_category = asks(_CATEGORIES.change), asks(_CATEGORIES.delete)

    list_models, get_model = asks(_MODELS.list), asks(_MODELS.get)
    create_model, replace_model = asks(_MODELS.create), asks(_MODELS.replace)
    change_model, delete_model = asks(_MODELS.change), asks(_MODELS.delete)

    list_aliases, get_alias = asks(_ALIASES.list), asks(_ALIASES.get)
    create_alias, replace_alias = asks(_ALIASES.create), asks(_ALIASES.replace)
    change_alias, delete_alias = asks(_ALIASES.change), asks(_ALIASES.delete)

    list_functions, get_function = asks(_FUNCTIONS.list), asks(_FUNCTIONS.get)
    create_function, replace_function = asks(_FUNCTIONS.create), asks(_FUNCTIONS.replace)
    change_function, delete_function = asks(_FUNCTIONS.change), asks(_FUNCTIONS.delete)

    list_mappings, get_mapping = asks(_MAPPINGS.list), asks(_MAPPINGS.get)
    create_mapping, replace_mapping = asks(_MAPPINGS.create), asks(_MAPPINGS.replace)
    change_mapping, delete_mapping = asks(_MAPPINGS.change), asks(_MAPPINGS.delete)

    list_services, models_for = asks(_list_services), asks(_models_for)
    list_deployments = asks(_list_deployments)
    select_models, estimate_costs = asks(_select_models), asks(_estimate_costs)
    model_stats = asks(_model_stats)
    tensorzero_config = asks(_tensorzero_config)
    validate_model = asks(_validate)
    export_document, import_document = asks(_export_document), asks(_import_document)
    catalogue = operation(_catalogue)
