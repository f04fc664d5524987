"""Sources that hang, fail, redirect, answer nonsense or far too much; replicas; and a database that is away."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from model_registry.discovery.answer_plan import Answer
from model_registry.discovery.discovery import log_answers
from support.catalogue import add, get, problem
from support.replica import Replica, running_replica
from support.sources import add_source, models, refresh
from support.stub_sources import Listing, StubSource
from support.waiting import until


async def error_of(replica: Replica, **body: Any) -> str:
    """Add a source, ask it, and return why it does not answer."""
    server = body.pop("server")
    await add_source(replica.client, server, "bad", **body)
    refused = await replica.client.post("/api/sources/bad/refresh")
    problem(refused, 502, "E5005")
    error: str = (await get(replica.client, "/api/sources/bad"))["error"]
    return error


async def test_with_one_hanging_and_one_failing_everything_last_known_is_there_and_they_are_named(
    start_replica: Any, server: StubSource
) -> None:
    replica: Replica = await start_replica()
    async with StubSource() as hangs, StubSource() as fails:
        for name, stub in (("good", server), ("hangs", hangs), ("fails", fails)):
            stub.lists(f"of {name}")
            await add_source(replica.client, stub, name, options={"timeout_seconds": 0.3})
            await refresh(replica.client, name)
        hangs.listings["/v1/models"] = Listing(hangs=True)
        fails.listings["/v1/models"] = Listing({}, status=500)
        for name in ("hangs", "fails"):
            assert (await replica.client.post(f"/api/sources/{name}/refresh")).status_code == 502

        assert set(await models(replica.client)) == {"of good", "of hangs", "of fails"}
        sources = {one["name"]: one for one in (await get(replica.client, "/api/sources"))["items"]}
        assert {name: one["state"] for name, one in sources.items()} == {
            "good": "ok", "hangs": "failing", "fails": "failing",
        }  # fmt: skip
        assert "has not answered within 0.3 s" in sources["hangs"]["error"]
        assert "it answers 500" in sources["fails"]["error"]
        assert [one["models"] for one in sources.values()] == [1, 1, 1]


@pytest.mark.parametrize(
    ("listing", "error"),
    [
        (Listing({}, status=302, headers={"Location": "http://169.254.169.254/latest"}), "redirect"),
        (Listing({"data": "none"}), "answers with no list 'data'"),
        (Listing([]), None),
        (Listing({"data": [{"id": str(n)} for n in range(20_001)]}), "more than 20,000 entries"),
        (Listing(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot JSON."), "does not answer with JSON"),
        (Listing(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"), "cannot be read"),
        (Listing(raw=b"SSH-2.0-OpenSSH\r\n\r\n"), "cannot be read"),
        (Listing(raw=b"HTTP/1.1 200 OK\r\n\r\n[" + b" " * (17 * 2**20)), "more than 16 MB"),
        (Listing(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n" + b"[" * 40000), "does not answer with JSON"),
    ],
)
async def test_an_answer_that_is_none_is_named_and_changes_nothing(
    replica: Replica, server: StubSource, listing: Listing, error: str | None
) -> None:
    await add_source(replica.client, server)
    await refresh(replica.client)
    server.listings["/v1/models"] = listing
    if error is None:  # an empty list is an answer
        await refresh(replica.client)
        return

    answered = await replica.client.post("/api/sources/gpu_1/refresh")

    assert error in problem(answered, 502, "E5005")["detail"]
    assert [model["missing_since"] for model in (await models(replica.client)).values()] == [None, None]


@pytest.mark.parametrize("address", ["http://169.254.169.254/v1", "http://[fe80::1]:80/v1", "http://[fd00:ec2::254]/"])
async def test_metadata_services_and_link_local_addresses_are_not_asked(replica: Replica, address: str) -> None:
    body = {"name": "bad", "kind": "openai", "address": address, "active": False}
    await replica.client.post("/api/sources", json=body)

    answered = await replica.client.post("/api/sources/bad/refresh")

    assert "refused" in problem(answered, 502, "E5005")["detail"]


async def test_bad_rows_are_listed_with_the_reason_and_the_others_are_there(
    replica: Replica, server: StubSource
) -> None:
    good = {"id": "good", "max_model_len": 8192}
    secret = {"id": "leaky", "description": "use sk-proj-" + "a1B2c3D4" * 6}
    bad = {"id": "bad\x00name", "max_model_len": 1}
    server.listings["/v1/models"] = Listing({"data": [good, secret, bad, {"no": "id"}, 7]})
    await add_source(replica.client, server)

    await refresh(replica.client)
    source = await get(replica.client, "/api/sources/gpu_1")

    assert set(await models(replica.client)) == {"good"}
    assert (source["state"], source["skipped_count"], source["models"]) == ("ok", 2, 1)
    assert "secret" in str(source["skipped"])
    assert "a1B2c3D4a1B2" not in str(source)
    # Mended, although the answer of the source is the same: what was skipped is tried again.
    server.listings["/v1/models"] = Listing({"data": [good, {"id": "leaky"}, {"id": "bad name"}]})
    await refresh(replica.client)
    assert (await get(replica.client, "/api/sources/gpu_1"))["skipped"] == []


async def test_a_list_that_is_longer_than_a_write_may_be_takes_several(
    replica: Replica, server: StubSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_registry.discovery.answer_writer.MOST_OPERATIONS", 3)
    await add_source(replica.client, server)
    for names in ("abcdefgh", "hijklmnop"):
        server.lists(*names)
        report = await refresh(replica.client)
        assert report["revision"] == replica.state.registry.snapshot.revision
        listed = {name for name, model in (await models(replica.client)).items() if model["missing_since"] is None}
        assert listed == set(names)
    source = await get(replica.client, "/api/sources/gpu_1")
    assert (source["state"], source["models"], source["counts"]["missing"]) == ("ok", 9, 7)


async def test_a_list_of_which_a_part_cannot_be_written_says_so_and_goes_on_from_there(
    replica: Replica, server: StubSource, monkeypatch: pytest.MonkeyPatch, stack: Any
) -> None:
    monkeypatch.setattr("model_registry.discovery.answer_writer.MOST_OPERATIONS", 3)
    await add_source(replica.client, server)
    server.lists(*"abcdefg")
    with psycopg.connect(stack.environment()["DATABASE_URL"], autocommit=True) as database:
        database.execute("alter table model_registry.models add constraint no_g check (name <> 'g')")
        try:
            refused = problem(await replica.client.post("/api/sources/gpu_1/refresh"), 502, "E5005")["detail"]
        finally:
            database.execute("alter table model_registry.models drop constraint no_g")
    source = await get(replica.client, "/api/sources/gpu_1")

    assert "only a part of its answer is imported: " in refused
    assert source["state"] == "failing"
    assert 0 < len(await models(replica.client)) < 7
    server.lists(*"bcdefg")
    await refresh(replica.client)
    found = await models(replica.client)
    assert {name for name, model in found.items() if model["missing_since"] is None} == set("bcdefg")
    assert found["a"]["missing_since"] is not None
    source = await get(replica.client, "/api/sources/gpu_1")
    assert (source["state"], source["models"]) == ("ok", 6)


async def test_what_a_source_does_is_logged_when_it_changes(replica: Replica, server: StubSource) -> None:
    """Also where the answer comes, and cannot be imported; and of a hundred at once, some are named."""
    await add(replica.client, "providers", name="theirs", type="anthropic", api_base="https://a.example")
    await add_source(replica.client, server, provider="theirs")
    with capture_logs() as lines:
        for _ in range(2):
            problem(await replica.client.post("/api/sources/gpu_1/refresh"), 502, "E5005")
        changed = await replica.client.patch("/api/sources/gpu_1", json={"provider": None})
        assert changed.status_code == 200
        await refresh(replica.client)
        await refresh(replica.client)
    said = [line["event"] for line in lines if "source" in line["event"]]
    assert said == ["a source does not answer", "sources answer again"]

    source = replica.state.registry.snapshot.sources.where("name", "gpu_1")[0]
    with capture_logs() as lines:
        log_answers([Answer(source.model_copy(update={"id": str(n)}), "", error="refused") for n in range(100)], ())
    assert (len(lines), lines[-1]["number"]) == (11, 90)


async def test_a_model_whose_row_cannot_be_read_is_not_taken_for_gone(replica: Replica, server: StubSource) -> None:
    await add_source(replica.client, server)
    await refresh(replica.client)

    data = [{"id": "small"}, {"id": "large", "max_model_len": 4096, "description": "half a pair \ud800"}]
    server.listings["/v1/models"] = Listing({"data": data})
    await refresh(replica.client)

    assert (await models(replica.client))["large"]["missing_since"] is None
    assert (await get(replica.client, "/api/sources/gpu_1"))["skipped_count"] == 1


async def test_an_equal_answer_is_asked_for_with_its_etag_and_is_no_revision(
    replica: Replica, server: StubSource
) -> None:
    server.lists("small", etag='"one"')
    await add_source(replica.client, server, active=True, interval_seconds=1)

    async def asked_with_its_tag() -> bool:
        return any(headers.get("if-none-match") == '"one"' for _, headers in server.asked)

    async def answered() -> bool:
        return bool((await get(replica.client, "/api/sources/gpu_1"))["state"] == "ok")

    await until(answered)
    revision = replica.state.registry.snapshot.revision
    await until(asked_with_its_tag)
    server.lists("small", etag='"two"')  # another tag, and the same answer
    seen = len(server.asked)

    async def asked_twice_more() -> bool:
        return len(server.asked) > seen + 1

    await until(asked_twice_more)
    assert replica.state.registry.snapshot.revision == revision


async def test_of_two_replicas_one_asks(start_replica: Any, server: StubSource) -> None:
    first, second = await start_replica(), await start_replica()
    for number in range(8):
        await add_source(first.client, server, f"source_{number}", active=True, interval_seconds=3600)

    async def answered() -> bool:
        items = (await get(second.client, "/api/sources"))["items"]
        return len(items) == 8 and all(one["state"] == "ok" and not one["asking"] for one in items)

    await until(answered)

    assert len(server.asked) == 8


async def test_a_source_that_is_being_asked_is_not_asked_beside(start_replica: Any, server: StubSource) -> None:
    first, second = await start_replica(), await start_replica()
    server.listings["/v1/models"] = Listing(hangs=True)
    await add_source(first.client, server, active=True, interval_seconds=3600)

    async def asking() -> bool:
        items = (await get(second.client, "/api/sources"))["items"]
        return bool(items) and items[0]["asking"] and bool(server.asked)

    await until(asking)
    beside = await second.client.post("/api/sources/gpu_1/refresh", params={"wait": 0})

    problem(beside, 429, "E4290")
    assert len(server.asked) == 1


async def test_restarted_without_a_database_all_that_was_known_is_there(
    stack: Any, environment: dict[str, Any], server: StubSource
) -> None:
    async with running_replica(environment) as before:
        await add_source(before.client, server)
        await refresh(before.client)
        server.listings["/v1/models"] = Listing({}, status=500)
        await before.client.post("/api/sources/gpu_1/refresh")

    stack.postgrest.kill()
    try:
        async with running_replica(environment) as after:
            listed = await models(after.client)
            source = await get(after.client, "/api/sources/gpu_1")
            refused = await after.client.post("/api/sources/gpu_1/refresh")
    finally:
        await asyncio.to_thread(stack.postgrest.start)

    assert set(listed) == {"small", "large"}
    assert (source["state"], source["models"]) == ("failing", 2)
    assert "it answers 500" in source["error"]
    problem(refused, 503, "E5030")
