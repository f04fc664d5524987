"""What needs a variable that is not set where a gateway runs is not in its configuration, and comes with it."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg
import pytest

from model_registry.entities.api_key import hash_of, new_secret
from support.catalogue import add, add_mapping, add_model, add_provider, get, problem
from support.replica import Replica

CONFIG = "/api/tensorzero/config"
ROW = "/api/gateways/tensorzero"
ENVIRONMENT = f"{ROW}/environment"


@pytest.fixture
async def catalogue(replica: Replica) -> Replica:
    """A server of our own, and a hosted provider that is there only with its key."""
    await add_provider(replica.client)
    await add_model(replica.client, "local")
    await add_mapping(replica.client, "agents/chat/main", "local")
    hosted = {"type": "openai", "api_base": "https://api.openai.com/v1", "api_key_env_var": "HOSTED_KEY"}
    await add_provider(replica.client, "hosted", **hosted, only_with_key=True)
    await add_model(replica.client, "big", "hosted")
    await add_mapping(replica.client, "agents/chat/other", "big")
    return replica


async def report(client: httpx.AsyncClient, *names: str, missing: tuple[str, ...] = ()) -> Any:
    response = await client.post(ENVIRONMENT, json={"names": names, "missing": missing})
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_provider_comes_with_its_key_and_goes_with_it(catalogue: Replica) -> None:
    client = catalogue.client
    before = await client.get(CONFIG)
    assert "[models.local]" in before.text
    assert "[models.big]" not in before.text
    assert before.headers["x-registry-missing-variables"] == "HOSTED_KEY"
    assert "x-registry-variables" not in before.headers

    await report(client, "HOSTED_KEY")
    there = await client.get(CONFIG)
    assert "[models.big]" in there.text
    assert "#   HOSTED_KEY: provider hosted" in there.text
    assert there.headers["x-registry-variables"] == "HOSTED_KEY"
    assert "x-registry-missing-variables" not in there.headers

    await report(client, missing=("HOSTED_KEY",))
    assert (await client.get(CONFIG)).text == before.text


async def test_what_is_left_out_is_listed_with_what_to_do(catalogue: Replica) -> None:
    omitted = (await get(catalogue.client, "/api/tensorzero/omitted"))["items"]
    reasons = {(row["kind"], row["name"]): row["reason"] for row in omitted}
    assert "model-registry gateways env tensorzero --add HOSTED_KEY" in reasons["provider", "hosted"]
    assert reasons["model", "big"] == "its provider is left out"
    await catalogue.client.get(CONFIG)
    status = await get(catalogue.client, "/api/tensorzero/status")
    assert status["missing_variables"] == [{"name": "HOSTED_KEY", "needed_by": ["provider hosted"]}]
    await report(catalogue.client, "HOSTED_KEY")
    assert (await get(catalogue.client, "/api/tensorzero/omitted"))["items"] == []
    await catalogue.client.get(CONFIG)
    status = await get(catalogue.client, "/api/tensorzero/status")
    assert (status["variables"], status["missing_variables"]) == (
        [{"name": "HOSTED_KEY", "needed_by": ["provider hosted"]}],
        [],
    )


async def test_the_environment_shows_what_is_needed(catalogue: Replica) -> None:
    client = catalogue.client
    named = {"name": "HOSTED_KEY", "needed_by": ["provider hosted"]}
    unknown = {"gateway": "tensorzero", "environment": None, "variables": [], "missing": [named | {"is_set": None}]}
    assert await get(client, ENVIRONMENT) == unknown
    found = await report(client, "HOSTED_KEY")
    assert found == unknown | {
        "environment": ["HOSTED_KEY"],
        "variables": [named | {"is_set": True}],
        "missing": [],
    }
    assert await get(client, ENVIRONMENT) == found


async def test_a_report_changes_only_what_it_names(catalogue: Replica) -> None:
    client = catalogue.client
    assert (await client.patch(ROW, json={"environment": ["SET_BY_HAND", "OLD"]})).status_code == 200
    found = await report(client, "HOSTED_KEY", missing=("OLD", "NEVER_SET"))
    assert found["environment"] == ["HOSTED_KEY", "SET_BY_HAND"]


async def test_a_report_of_what_is_known_makes_no_revision(catalogue: Replica) -> None:
    await report(catalogue.client, "HOSTED_KEY")
    revision = catalogue.state.registry.snapshot.revision
    await report(catalogue.client, "HOSTED_KEY", missing=("OTHER",))
    assert catalogue.state.registry.snapshot.revision == revision


async def test_reports_add_up_to_no_more_names_than_a_row_may_have(catalogue: Replica) -> None:
    for start in (0, 6000):
        body = {"names": [f"V{number}" for number in range(start, start + 6000)]}
        response = await catalogue.client.post(ENVIRONMENT, json=body)
    problem(response, 422, "E4005")
    assert "12000 would be set where tensorzero runs, and 10000 are the limit" in response.text
    await report(catalogue.client, *body["names"], missing=tuple(f"V{number}" for number in range(6000)))


async def test_a_gateway_may_want_a_missing_variable_to_hold_everything_back(catalogue: Replica) -> None:
    client = catalogue.client
    own = {"type": "mistral", "api_base": None, "api_key_env_var": "OWN_KEY"}
    await add_provider(client, "own", **own)
    await add_model(client, "mine", "own")
    before = (await client.get(CONFIG)).text
    assert "[models.mine]" in before

    known = {"environment": [], "settings": {"missing_variable": "refuse"}}
    assert (await client.patch(ROW, json=known)).status_code == 200
    held = await client.get(CONFIG)
    assert held.text == before
    assert "x-registry-refused-revision" in held.headers
    refused = (await get(client, "/api/tensorzero/status"))["refused"]
    assert [reason["where"] for reason in refused["reasons"]] == ["provider own"]

    assert (await client.patch(ROW, json={"settings": {}})).status_code == 200
    assert "[models.mine]" not in (await client.get(CONFIG)).text
    await client.patch(ROW, json={"environment": ["OWN_KEY"], "settings": {"missing_variable": "refuse"}})
    accepted = await client.get(CONFIG)
    assert accepted.text == before
    assert "x-registry-refused-revision" not in accepted.headers


async def test_a_key_for_one_gateway_reports_for_no_other(catalogue: Replica, database: psycopg.Connection) -> None:
    secret = new_secret()
    database.execute(
        "insert into api_keys (name, key_hash, scopes, services) values (%s, %s, %s, %s)",
        ("agent", hash_of(secret), '["service"]', '["tensorzero"]'),
    )
    await add(catalogue.client, "gateways", name="edge", kind="tensorzero")
    headers, body = {"Authorization": f"Bearer {secret}"}, {"names": ["HOSTED_KEY"]}
    async with catalogue.anonymous() as agent:
        assert (await agent.post(ENVIRONMENT, json=body, headers=headers)).status_code == 200
        problem(await agent.post("/api/gateways/edge/environment", json=body, headers=headers), 403, "E4030")
        problem(await agent.post(ENVIRONMENT, json=body), 401, "E4010")


async def test_the_agents_key_of_the_environment_reports_and_does_nothing_else(start_replica: Any) -> None:
    key = "an agent's key for tests"
    replica = await start_replica(MODEL_REGISTRY_AUTH_READS=True, MODEL_REGISTRY_AGENT_KEY=key)
    async with replica.anonymous() as agent:
        agent.headers["X-API-Key"] = key
        assert (await agent.post(ENVIRONMENT, json={"names": ["A_KEY"]})).status_code == 200
        assert (await agent.get(CONFIG)).status_code == 200
        for path in ("/services/register", "/api/providers", "/api/deployments"):
            problem(await agent.post(path, json={}), 403, "E4030")
        problem(await agent.patch(ROW, json={"environment": []}), 403, "E4030")


@pytest.mark.parametrize("name", ["sk-proj-abcdefghijklmnopqrstuvwxyz0123456789", "has space", "", "1ST"])
async def test_what_is_no_name_is_refused(catalogue: Replica, name: str) -> None:
    response = await catalogue.client.post(ENVIRONMENT, json={"names": [name]})
    assert response.status_code == 422
    assert "sk-proj" not in response.text
