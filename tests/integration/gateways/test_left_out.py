"""A new gateway says at once what its kind cannot have of what it carries."""

from __future__ import annotations

import httpx
import pytest

from support.catalogue import add, add_mapping, add_model, add_provider, get
from support.replica import Replica


@pytest.fixture
def client(replica: Replica) -> httpx.AsyncClient:
    return replica.client


async def test_a_gateway_that_cannot_have_functions_says_so_when_it_is_made(client: httpx.AsyncClient) -> None:
    await add_provider(client)
    await add_model(client, "m")
    await add_mapping(client, "chat/answer/v", "m")
    row = await add(client, "gateways", name="nodes", kind="smg")
    (warning,) = row["warnings"]
    assert "cannot have all that it carries: left out are 1 function." in warning
    assert warning.endswith("what to do instead: GET /api/gateways/nodes/omitted")
    (item,) = (await get(client, "/api/gateways/nodes/omitted"))["items"]
    assert (item["kind"], item["name"]) == ("function", "chat_answer")
    assert item["instead"].startswith("keep a gateway of another kind before it")


async def test_a_gateway_that_can_have_everything_has_nothing_to_say(client: httpx.AsyncClient) -> None:
    await add_provider(client)
    await add_model(client, "m")
    assert "warnings" not in await add(client, "gateways", name="nodes", kind="smg")
