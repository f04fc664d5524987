"""Conditional requests: unchanged responses are not sent again, and no update is lost unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import psycopg
import pytest

from support.catalogue import add, add_mapping, add_model, add_provider, get, problem
from support.replica import Replica


@pytest.fixture
async def client(replica: Replica) -> httpx.AsyncClient:
    """A registry that holds a provider, a model and a mapping."""
    await add_provider(replica.client)
    await add_model(replica.client, "m", description="first")
    await add_mapping(replica.client, "s/f/v", "m")
    return replica.client


READS = (
    "/api/providers",
    "/api/providers/ollama_local",
    "/api/models?limit=1",
    "/api/models/m",
    "/api/mappings/s",
    "/api/services",
    "/api/services/s/models",
    "/api/deployments",
    "/api/deployments/nodes",
    "/api/tensorzero/config",
)


async def test_what_the_caller_has_is_not_sent_again(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for path in READS:
        fresh = await client.get(path)
        tag = fresh.headers["etag"]
        for name, header in {
            "the tag": tag,
            "a weak tag, as proxies make it": f"W/{tag}",
            "one of several": f'"other", {tag}',
            "any": "*",
        }.items():
            with subtests.test(path=path, header=name):
                answer = await client.get(path, headers={"If-None-Match": header})
                assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
        for header in ("", '"other"', tag[:-2] + '"', tag.strip('"')):
            with subtests.test(path=path, header=header):
                answer = await client.get(path, headers={"If-None-Match": header})
                assert (answer.status_code, answer.content) == (200, fresh.content)


async def test_a_tag_says_what_the_answer_is_and_not_when(client: httpx.AsyncClient) -> None:
    before = await client.get("/api/models/m")
    await add_model(client, "unrelated")
    assert (await client.get("/api/models/m")).headers["etag"] == before.headers["etag"]

    await client.patch("/api/models/m", json={"description": "second"})
    assert (await client.get("/api/models/m")).headers["etag"] != before.headers["etag"]


async def test_what_a_row_is_joined_with_counts(client: httpx.AsyncClient) -> None:
    tag = (await client.get("/api/models/m")).headers["etag"]

    await add(client, "aliases", alias="a", model="m", context="agents")
    with_alias = (await client.get("/api/models/m")).headers["etag"]
    await client.patch("/api/providers/ollama_local", json={"api_base": "http://elsewhere:11434/v1"})
    moved = (await client.get("/api/models/m")).headers["etag"]

    assert len({tag, with_alias, moved}) == 3


async def test_a_change_of_what_has_changed_since_is_refused(client: httpx.AsyncClient) -> None:
    seen = (await client.get("/api/models/m")).headers["etag"]
    body = {"name": "m", "model_id": "m", "provider": "ollama_local", "description": "mine"}
    await client.patch("/api/models/m", json={"description": "theirs"})

    for method in ("PUT", "PATCH", "DELETE"):
        answer = await client.request(method, "/api/models/m", json=body, headers={"If-Match": seen})
        problem(answer, 412, "E4120")

    assert (await get(client, "/api/models/m"))["description"] == "theirs"


async def test_a_change_of_what_the_caller_saw_is_made_and_its_tag_is_good_for_the_next(
    client: httpx.AsyncClient,
) -> None:
    await client.delete("/api/mappings/s/f/v")
    tag = (await client.get("/api/models/m")).headers["etag"]

    for description in ("second", "third"):
        answer = await client.patch("/api/models/m", json={"description": description}, headers={"If-Match": tag})
        assert answer.status_code == 200, answer.text
        tag = answer.headers["etag"]

    assert (await client.get("/api/models/m")).headers["etag"] == tag
    assert (await client.delete("/api/models/m", headers={"If-Match": tag})).status_code == 204


async def test_any_row_that_is_there_can_be_asked_for(client: httpx.AsyncClient) -> None:
    changed = await client.patch("/api/models/m", json={"description": "d"}, headers={"If-Match": "*"})
    missing = await client.patch("/api/models/none", json={"description": "d"}, headers={"If-Match": "*"})

    assert changed.status_code == 200
    problem(missing, 404, "E4001")


async def test_a_row_that_changed_in_the_database_a_moment_ago_is_not_overwritten(
    client: httpx.AsyncClient, database: psycopg.Connection
) -> None:
    seen = (await client.get("/api/models/m")).headers["etag"]
    database.execute("update models set description = 'by psql' where name = 'm'")

    answer = await client.patch("/api/models/m", json={"description": "mine"}, headers={"If-Match": seen})

    problem(answer, 412, "E4120")
    assert (await get(client, "/api/models/m"))["description"] == "by psql"


@pytest.fixture
async def writers(
    start_replica: Callable[..., Awaitable[Replica]], client: httpx.AsyncClient
) -> list[httpx.AsyncClient]:
    """Administrators on two replicas, the second of which polls too seldom to see the first's writes."""
    other = await start_replica(MODEL_REGISTRY_POLL_SECONDS=600)
    return [client, other.client]


async def test_of_two_guarded_writers_at_once_one_wins_and_the_other_is_told(writers: list[httpx.AsyncClient]) -> None:
    for round_ in range(5):
        tag = (await writers[0].get("/api/models/m")).headers["etag"]
        answers = await asyncio.gather(
            *(
                writer.patch("/api/models/m", json={"description": f"{round_} {i}"}, headers={"If-Match": tag})
                for i, writer in enumerate(writers)
            )
        )
        assert sorted(answer.status_code for answer in answers) == [200, 412]
        winner = next(answer.json() for answer in answers if answer.status_code == 200)
        for writer in writers:
            seen = await writer.get("/api/models/m", headers={"Cache-Control": "no-cache"})
            assert seen.json()["description"] == winner["description"]


async def test_changes_of_different_fields_at_once_both_survive(writers: list[httpx.AsyncClient]) -> None:
    for round_ in range(5):
        answers = await asyncio.gather(
            writers[0].patch("/api/models/m", json={"description": f"round {round_}"}),
            writers[1].patch("/api/models/m", json={"vram_mb": round_}),
        )
        assert [answer.status_code for answer in answers] == [200, 200]
        row = (await writers[1].get("/api/models/m", headers={"Cache-Control": "no-cache"})).json()
        assert (row["description"], row["vram_mb"]) == (f"round {round_}", round_)


async def test_the_same_row_made_twice_at_once_is_there_once(writers: list[httpx.AsyncClient]) -> None:
    for round_ in range(5):
        body = {"name": f"p{round_}", "type": "openai"}
        answers = await asyncio.gather(*(writer.post("/api/providers", json=body) for writer in writers))
        assert sorted(answer.status_code for answer in answers) == [201, 409]
        problem(next(answer for answer in answers if answer.status_code == 409), 409, "E4002")


async def test_a_referrer_made_elsewhere_a_moment_ago_keeps_its_model(writers: list[httpx.AsyncClient]) -> None:
    await add_model(writers[0], "other")
    await get(writers[1], "/api/models", limit=1)
    await add(writers[0], "aliases", alias="a", model="other", context="agents")

    found = problem(await writers[1].delete("/api/models/other"), 409, "E4092")

    assert found["referrers"] == ["the alias a"]


async def test_a_row_made_elsewhere_a_moment_ago_can_be_referred_to(writers: list[httpx.AsyncClient]) -> None:
    await add_model(writers[0], "new")

    made = await add(writers[1], "aliases", alias="a", model="new", context="agents")

    assert made["model_name"] == "new"


async def test_a_name_given_away_elsewhere_a_moment_ago_is_free(writers: list[httpx.AsyncClient]) -> None:
    await add_provider(writers[0], "p")
    await writers[1].get("/api/providers", headers={"Cache-Control": "no-cache"})
    await writers[0].delete("/api/providers/p")

    assert (await add_provider(writers[1], "p"))["name"] == "p"
