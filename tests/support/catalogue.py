"""Rows of a small catalogue, made over HTTP as an administrator would; a test names only the fields it is about."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

Row = dict[str, Any]


async def add(client: httpx.AsyncClient, plural: str, **fields: Any) -> Row:
    """Add a row and return it. If it is refused, fails with the service's message."""
    response = await client.post(f"/api/{plural}", json=fields)
    assert response.status_code == 201, response.text
    row: Row = response.json()
    return row


async def add_provider(client: httpx.AsyncClient, name: str = "ollama_local", **fields: Any) -> Row:
    """Add a provider, by default an Ollama."""
    plain = {"type": "ollama", "api_base": "http://localhost:11434/v1"}
    return await add(client, "providers", **{**plain, "name": name, **fields})


async def add_model(client: httpx.AsyncClient, name: str, provider: str = "ollama_local", **fields: Any) -> Row:
    """Add a model to an existing provider."""
    return await add(client, "models", **{"model_id": name, "name": name, "provider": provider, **fields})


async def add_mapping(client: httpx.AsyncClient, path: str, model: str, **fields: Any) -> Row:
    """Add a mapping at `service/function/variant`."""
    service, function, variant = path.split("/")
    names = {"service_name": service, "function_name": function, "variant_name": variant}
    return await add(client, "mappings", **names, model=model, **fields)


async def get(client: httpx.AsyncClient, path: str, **params: Any) -> Any:
    """The response of a path, which must be 200."""
    response = await client.get(path, params=params)
    assert response.status_code == 200, response.text
    return response.json()


async def names(client: httpx.AsyncClient, path: str, field: str = "name", **params: Any) -> list[Any]:
    """One field of every row of a list, in its order."""
    return [item[field] for item in (await get(client, path, **params))["items"]]


def problem(response: httpx.Response, status: int, code: str) -> Row:
    """The problem document of a refused request, which must be this one."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), (
        response.text
    )
    found: Row = response.json()
    assert (found["code"], found["status"], found["type"]) == (code, status, f"urn:model-registry:{code}"), found
    assert found["title"]
    assert found["detail"]
    return found


def places(problem_document: Row) -> set[str]:
    """The fields that a problem's reasons name."""
    return {reason["where"] for reason in problem_document["reasons"]}


def encoded(reference: str) -> str:
    """A reference with everything percent-encoded that can be."""
    return quote(reference, safe="")
