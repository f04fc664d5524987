"""What a request says that its route does not know: refused by name. And the one list of what is let through.

Every `GuardedRoute` asks here, so a new route need not think of it. Values of known parameters and fields are for the
routes themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, get_args, get_origin

from fastapi.dependencies.models import Dependant
from pydantic import BaseModel
from starlette.datastructures import QueryParams

from model_registry.catalog.resources import EDITED
from model_registry.catalog.views import ModelView, ServiceModelView
from model_registry.catalog.warnings import MAPPING, OF_WRITES
from model_registry.entities.config import ConfigFile, ConfigSection
from model_registry.entities.spelling import suggestion
from model_registry.entities.unknown_fields import field_names, unknown_field_reasons, unknown_fields
from model_registry.errors import Reason
from model_registry.fleet.views import FleetNodeView
from model_registry.services.views import InstanceView

FAULTS = "model_registry.unknown_input"
"""Where a request carries what its route does not know, until the rest of it is validated."""

_MOST_FAULTS = 100
"""Of one query. Naming each takes time on the event loop, and anybody may send thousands."""

# The one list of exceptions. Anything else that a route does not know is refused.

SHOWN: Mapping[str, type[BaseModel]] = {
    **{f"/api/{resource.plural}": resource.view_shape for resource in EDITED},
    "/api/nodes": FleetNodeView,
    "/api/tensorzero/files": ConfigFile,
    "/api/tensorzero/sections": ConfigSection,
    "/services": InstanceView,
    "/services/register": InstanceView,
}
"""Path -> what its rows look like. Fields of our own answers may come back, and are ignored: GET, then PUT works."""

REPORTS = frozenset(
    {"/api/deployments", "/api/deployments/register", "/api/deployments/{reference:path}/status"},
)
"""Reports of nodes may say more than we know, over HTTP as over NATS (`fleet/reports.py`, `fleet/gpu_events.py`)."""

PARAMETERS: Mapping[str, frozenset[str]] = {
    # Codex sends its version; Anthropic's clients page; Azure's name the interface's version.
    "/v1/models": frozenset({"client_version", "limit", "after", "after_id", "before_id", "api-version"}),
}
"""Path -> parameters that clients of others' interfaces are known to send. They are ignored."""

OTHERS_QUERIES = frozenset({"/rest/v1/{name}", "/rest/v1/rpc/{name}"})
"""Paths whose query is written in another interface's language, and read there (`catalog/rest_query.py`)."""


def body_faults(path: str, value: Any, shape: Any) -> list[Reason]:  # noqa: ANN401 (any JSON, any type)
    """Return the fields of a body that its route does not know."""
    if path in REPORTS:
        return []
    shown = SHOWN.get(path.replace("/api/gateways/{gateway}", "/api/tensorzero").partition("/{")[0])
    if shown is ModelView and isinstance(value, dict) and MAPPING in value:
        shown = ServiceModelView
    also = {*field_names(shown), *OF_WRITES} if shown else ()
    return unknown_field_reasons(unknown_fields(value, shape, also=also))


class Parameters:
    """The query parameters of a route."""

    def __init__(self, path: str, dependant: Dependant) -> None:
        self._repeatable = dict(_parameters(dependant))
        self._ignored = PARAMETERS.get(path, frozenset())
        self._is_read_elsewhere = path in OTHERS_QUERIES

    def faults(self, query: QueryParams) -> list[Reason]:
        """Return what the route does not know of a query, and what is given twice and has one value: the first ones."""
        given = Counter(name for name, _ in query.multi_items() if not self._is_read_elsewhere)
        faults = (
            Reason(name, fault)
            for name, times in given.items()
            if name not in self._ignored and (fault := self._fault(name, times))
        )
        return list(islice(faults, _MOST_FAULTS))

    def _fault(self, name: str, times: int) -> str | None:
        if name not in self._repeatable:
            if not self._repeatable:
                return "is not a known parameter; this path takes none"
            return f"is not a known parameter; {suggestion(name, sorted(self._repeatable))}"
        if times > 1 and not self._repeatable[name]:
            return f"is given {times} times, and takes one value"
        return None


def _parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """Yield the name of each parameter, and whether it may be repeated."""
    for field in dependant.query_params:
        shape = field.field_info.annotation
        if isinstance(shape, type) and issubclass(shape, BaseModel):
            for written, name in field_names(shape).items():
                yield written, _is_list(shape.model_fields[name].annotation)
        else:
            yield field.alias, _is_list(shape)
    for below in dependant.dependencies:
        yield from _parameters(below)


def _is_list(shape: Any) -> bool:  # noqa: ANN401 (any type)
    return get_origin(shape) is list or any(_is_list(part) for part in get_args(shape))
