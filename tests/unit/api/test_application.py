"""The paths determine which route handles a request, not the order of the routers."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from functools import cache
from typing import cast

import pytest
from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match

from model_registry.api.application import ROUTERS, in_order

_REFERENCES = ("one", "org/name", "stats", "compare", "select", "import", "versions", "deployments", "nodes")
"""What callers may call their rows: also by the names of other routes."""


@cache
def _documented() -> tuple[tuple[str, str, str], ...]:
    """Every documented request: method, path template, operation id."""
    paths = get_openapi(title="", version="", routes=in_order(ROUTERS))["paths"]
    return tuple(
        (method.upper(), template, operation["operationId"])
        for template, operations in paths.items()
        for method, operation in operations.items()
    )


def _taker(routes: Sequence[BaseRoute], method: str, path: str) -> APIRoute | None:
    """The route that answers, as Starlette finds it: the first that fits whole, else the first that knows the path."""
    scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
    partial = None
    for route in routes:
        match, _ = route.matches(scope)
        if match is Match.FULL:
            return cast("APIRoute", route)
        if match is Match.PARTIAL and partial is None:
            partial = cast("APIRoute", route)
    return partial


def _paths(template: str) -> set[str]:
    return {re.sub(r"\{[^}]*\}", reference, template) for reference in _REFERENCES}


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_routers_dispatch_alike(seed: int) -> None:
    routers: list[APIRouter] = list(ROUTERS)
    random.Random(seed).shuffle(routers)  # noqa: S311 (an order)
    usual, shuffled = in_order(ROUTERS), in_order(routers)

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        for path in {path for _, template, _ in _documented() for path in _paths(template)}:
            assert _taker(shuffled, method, path) is _taker(usual, method, path), (method, path)


def test_a_documented_request_reaches_its_own_route() -> None:
    routes = in_order(ROUTERS)

    for method, template, operation_id in _documented():
        path = re.sub(r"\{[^}]*\}", "one", template)
        taker = _taker(routes, method, path)
        assert taker is not None
        assert taker.operation_id in {operation_id, None}, (method, path)
        assert re.sub(r":path\}", "}", taker.path) == template


@pytest.mark.parametrize(
    ("method", "path", "template"),
    [
        ("GET", "/api/models/stats", "/api/models/stats"),
        ("GET", "/api/models/org/stats", "/api/models/{reference:path}"),
        ("GET", "/api/models/org/name/versions", "/api/models/{reference:path}/versions"),
        ("GET", "/api/models/org/name/deployments", "/api/models/{reference:path}/deployments"),
        ("GET", "/api/models/versions", "/api/models/{reference:path}"),
        ("PUT", "/api/models/m/versions", "/api/models/{reference:path}/versions"),
        ("PUT", "/api/models/stats", "/api/models/{reference:path}"),
        ("POST", "/api/models/select", "/api/models/select"),
        ("GET", "/api/deployments/nodes", "/api/deployments/nodes"),
        ("PUT", "/api/deployments/n/p/m/status", "/api/deployments/{reference:path}/status"),
    ],
)
def test_the_more_specific_path_takes_the_request(method: str, path: str, template: str) -> None:
    taker = _taker(in_order(ROUTERS), method, path)

    assert taker is not None
    assert taker.path == template
