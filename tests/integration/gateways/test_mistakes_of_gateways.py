"""Mistaken gateways are refused when they are written, and say what to do."""

from __future__ import annotations

from typing import Any

import pytest

from support.catalogue import add, add_mapping, add_model, add_provider, get
from support.replica import Replica

GATEWAYS = "/api/gateways"
MADE = {"name": "new", "kind": "tensorzero"}


@pytest.fixture
async def edge(replica: Replica) -> Replica:
    """A catalogue, `edge` with content of its own, and `rim`, which has the content of `edge`."""
    await add_provider(replica.client)
    await add_model(replica.client, "m")
    await add_mapping(replica.client, "agents/chat/main", "m")
    await add(replica.client, "gateways", name="edge", kind="tensorzero", content_of="edge")
    await add(replica.client, "gateways", name="rim", kind="tensorzero", content_of="edge")
    await add(replica.client, "gateways", name="proxy", kind="litellm")
    await replica.client.put(f"{GATEWAYS}/edge/files/a.txt", json={"content": "text"})
    return replica


@pytest.mark.parametrize(
    ("what", "body", "status", "words"),
    [
        ("POST ", MADE | {"kind": "envoy"}, 422, ["tensorzero", "litellm", "smg"]),
        ("POST ", {"name": "new"}, 422, ["kind"]),
        ("POST ", MADE | {"name": "edge"}, 409, ["PATCH /api/gateways/edge"]),
        ("POST ", MADE | {"services": ["agent"]}, 422, ["services", "'agent'"]),
        ("POST ", MADE | {"providers": ["ollama"]}, 422, ["providers", "'ollama'"]),
        ("POST ", MADE | {"labels": {"zone": "cellar"}}, 422, ["zone=cellar"]),
        ("POST ", MADE | {"content_of": "nobody"}, 422, ["content_of", "'nobody'"]),
        ("POST ", MADE | {"content_of": "rim"}, 422, ["name that one", "edge"]),
        ("POST ", MADE | {"settings": {"address": "http://smg/v1"}}, 422, ["smg"]),
        ("POST ", MADE | {"settings": {"aproval": 1}}, 422, ["approval"]),
        ("POST ", MADE | {"settings": {"approval": 1}}, 422, ["pinned_revision"]),
        ("POST ", MADE | {"pinned_revision": -1}, 422, ["pinned_revision"]),
        ("POST ", MADE | {"pinned_revision": 10**9}, 404, ["newest"]),
        ("POST ", MADE | {"environment": ["A KEY"]}, 422, ["environment"]),
        ("PATCH /edge", {"kind": "litellm"}, 409, ["make another"]),
        ("PATCH /tensorzero", {"name": "first"}, 409, ["/api/tensorzero"]),
        ("DELETE /edge", None, 409, ["the gateway rim", "the file a.txt"]),
        ("DELETE /tensorzero", None, 409, ["/api/tensorzero"]),
        ("DELETE /nobody", None, 404, ["nobody"]),
        ("POST /rim/promote", {"from": "rim"}, 409, ["itself"]),
        ("POST /rim/promote", {"from": "proxy"}, 409, ["kind litellm", "name a revision"]),
        ("POST /rim/promote", {"from": "tensorzero"}, 409, ["content of tensorzero", "name a revision"]),
        ("POST /rim/promote", {"revision": 10**9}, 404, ["newest"]),
        ("POST /rim/promotions/approve", {"revision": 1}, 409, ["No promotion"]),
        ("POST /rim/promotions/withdraw", None, 409, ["No promotion"]),
    ],
)
async def test_a_mistake_is_refused_with_what_to_do(
    edge: Replica, what: str, body: Any, status: int, words: list[str]
) -> None:
    method, path = what.split(" ")
    before = await get(edge.client, GATEWAYS)
    response = await edge.client.request(method, f"{GATEWAYS}{path}", json=body)

    assert response.status_code == status, response.text
    for word in words:
        assert word in response.text
    assert await get(edge.client, GATEWAYS) == before
