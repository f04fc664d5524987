"""What a route does not know is refused by name, on every route; and what is let through is on one list."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from model_registry.api.unknown_input import REPORTS
from support.catalogue import add_model, add_provider, get, places
from support.replica import Replica


@pytest.fixture
async def client(replica: Replica) -> httpx.AsyncClient:
    """A registry with a provider and a model."""
    await add_provider(replica.client)
    await add_model(replica.client, "m")
    return replica.client


async def operations(client: httpx.AsyncClient) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of everything in the OpenAPI document."""
    paths = (await get(client, "/openapi.json"))["paths"]
    return [(method.upper(), path, what) for path, methods in paths.items() for method, what in methods.items()]


def address(template: str) -> str:
    """A path that fits a template."""
    return "/".join("x.txt" if part.startswith("{") else part for part in template.split("/"))


async def test_no_route_takes_a_parameter_that_it_does_not_know(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    everything = await operations(client)
    assert len(everything) > 80
    for method, path, _ in everything:
        with subtests.test(method=method, path=path):
            body: dict[str, Any] | None = None if method == "GET" else {}
            answer = await client.request(method, address(path), params={"colour": "red"}, json=body)
            assert answer.status_code == 422, answer.text
            assert "colour" in places(answer.json())
            assert "colour" in answer.json()["detail"]


async def test_no_route_takes_a_field_that_it_does_not_know(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    lenient = {path.replace(":path", "") for path in REPORTS} | {"/api/v1/registry/document"}
    for method, path, what in await operations(client):
        if "requestBody" not in what or path in lenient:
            continue
        with subtests.test(method=method, path=path):
            answer = await client.request(method, address(path), json={"colour": "red"})
            assert answer.status_code == 422, answer.text
            assert "colour" in places(answer.json())
