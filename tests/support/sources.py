"""Sources over HTTP, as an administrator makes and asks them; and the models that come of it."""

from __future__ import annotations

from typing import Any

import httpx

from support.catalogue import Row, add, get
from support.stub_sources import StubSource


async def add_source(client: httpx.AsyncClient, server: StubSource, name: str = "gpu_1", **more: Any) -> Row:
    """Add a source that is only asked when a test says so, by default of the kind openai."""
    body = {"name": name, "kind": "openai", "address": f"{server.url}/v1", "active": False}
    return await add(client, "sources", **(body | more))


async def refresh(client: httpx.AsyncClient, name: str = "gpu_1", **query: Any) -> Row:
    """Ask a source now, which must answer; the report."""
    answered = await client.post(f"/api/sources/{name}/refresh", params=query)
    assert answered.status_code == 200, answered.text
    report: Row = answered.json()
    return report


async def models(client: httpx.AsyncClient, **filters: Any) -> dict[str, Any]:
    """All models that pass these filters, by what their providers call them."""
    return {model["model_id"]: model for model in (await get(client, "/api/models", **filters))["items"]}
