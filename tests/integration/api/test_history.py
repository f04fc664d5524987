"""History on the real database: earlier states are read, compared and restored, and old ones are trimmed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.entities.change import Operation
from model_registry.errors import Conflict, PreconditionFailed, RevisionGone, RevisionNotFound
from model_registry.gateways.tensorzero.rendering.render import render
from model_registry.settings import Settings
from model_registry.snapshot.difference import TABLES, difference, restoring
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.client import Database, connect
from model_registry.store.history import History
from model_registry.store.registry import Registry
from support.catalogue import add_mapping, add_model, add_provider, get, problem
from support.database import empty
from support.profiles import on_the_stack
from support.replica import Replica
from support.states import content, row_id, shown, states
from support.waiting import until

Start = Any
FOR_EVER_AGO = 0.0
"""Days to keep: none."""


class Ledger:
    """A registry without the guard, so that any state is accepted, and its state at each revision."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.registry = Registry(database, origin="test")
        self.history = History(database, self.registry)
        self.seen: dict[int, Snapshot] = {}

    async def go_to(self, state: Snapshot) -> int:
        """Write the operations that result in this state; remember it as the database returns it.

        The gateways stay: what is drawn belongs to the first one.
        """
        gateways = self.registry.snapshot.tables["gateways"]
        state = replace(state, tables=state.tables.set("gateways", gateways))
        operations = restoring(self.registry.snapshot, state)
        revision = await self.registry.write(operations, actor="ledger")
        self.seen[revision] = Snapshot.from_document(await self.database.call("registry_snapshot"))
        assert shown(self.seen[revision]) == shown(state)
        return revision


@pytest.fixture
async def ledger(environment: dict[str, Any]) -> AsyncIterator[Ledger]:
    database = await connect(Settings(**environment))
    made = Ledger(database)
    await made.registry.refresh()
    yield made
    await database.close()


def rows(snapshot: Snapshot) -> dict[str, list[Any]]:
    """The configuration's rows to the last byte, versions and times too."""
    return {table: [row.model_dump() for row in snapshot.tables[table]] for table in TABLES}


async def begin_anew(ledger: Ledger, database_url: str) -> None:
    """Examples of one test share its fixtures, but not what another example wrote."""
    empty(database_url, "model_registry")
    ledger.seen.clear()
    await ledger.registry.refresh()


@on_the_stack()
@given(st.lists(states(), min_size=2, max_size=5), st.data())
async def test_every_state_that_was_can_be_had_and_brought_back(
    ledger: Ledger, database_url: str, steps: list[Snapshot], data: st.DataObject
) -> None:
    await begin_anew(ledger, database_url)
    for step in steps:
        await ledger.go_to(step)
    past = dict(ledger.seen)
    for revision, seen in past.items():
        at = await ledger.history.at(revision)
        assert (at.registry_id, at.revision, rows(at)) == (seen.registry_id, revision, rows(seen))

    chosen = data.draw(st.sampled_from(sorted(past)))
    before = ledger.registry.snapshot.revision
    done = await ledger.history.rollback(chosen, actor="somebody")
    now = Snapshot.from_document(await ledger.database.call("registry_snapshot"))
    assert shown(now) == shown(past[chosen])
    assert render(now).text == render(past[chosen]).text
    assert (done.revision > before) == bool(done.changes)
    assert now.revision == done.revision == ledger.registry.snapshot.revision

    await ledger.history.trim(FOR_EVER_AGO)
    assert rows(await ledger.history.at(now.revision)) == rows(now)
    assert rows(Snapshot.from_document(await ledger.database.call("registry_snapshot"))) == rows(now)


@on_the_stack()
@given(st.lists(states(), min_size=3, max_size=6), st.data())
async def test_trimming_keeps_the_cut_and_all_after_it(
    ledger: Ledger, database: psycopg.Connection, database_url: str, steps: list[Snapshot], data: st.DataObject
) -> None:
    await begin_anew(ledger, database_url)
    for step in steps:
        await ledger.go_to(step)
    cut = data.draw(st.sampled_from(sorted(ledger.seen)))
    database.execute("update registry_changes set at = at - interval '10 days' where revision <= %s", [cut])

    trimmed = await ledger.history.trim(5)
    again = await ledger.history.trim(5)

    assert trimmed["oldest"] == again["oldest"] == cut
    assert again["removed"] == 0
    newest = max(ledger.seen)
    for revision, seen in ledger.seen.items():
        if revision >= cut:
            at = await ledger.history.at(revision)
            assert (at.revision, rows(at)) == (revision, rows(seen))
        else:
            with pytest.raises(RevisionGone) as gone:
                await ledger.history.at(revision)
            assert gone.value.data == {"oldest": cut, "newest": newest}
    assert (await ledger.database.call("registry_snapshot"))["revision"] == newest


async def small_catalogue(replica: Replica) -> None:
    await add_provider(replica.client, "local")
    await add_model(replica.client, "small", "local")
    await add_model(replica.client, "large", "local")
    await add_mapping(replica.client, "agent/chat/best", "small")


async def revision_of(replica: Replica) -> int:
    response = await replica.client.get("/api/models", headers={"Cache-Control": "no-cache"})
    return int(response.headers["X-Registry-Revision"])


async def test_the_configuration_of_a_revision_is_what_was_served_then(replica: Replica) -> None:
    await small_catalogue(replica)
    then, text = await revision_of(replica), (await replica.client.get("/api/tensorzero/config")).text
    await replica.client.patch("/api/mappings/agent/chat/best", json={"model": "large"})

    response = await replica.client.get("/api/tensorzero/config", params={"revision": then})

    assert response.text == text != (await replica.client.get("/api/tensorzero/config")).text
    assert response.headers.get_list("X-Registry-Revision") == [str(then)]
    again = await replica.client.get(
        "/api/tensorzero/config", params={"revision": then}, headers={"If-None-Match": response.headers["ETag"]}
    )
    assert again.status_code == 304


async def test_a_difference_says_what_changed_by_whom_and_when(replica: Replica) -> None:
    await small_catalogue(replica)
    then = await revision_of(replica)
    await replica.client.patch("/api/mappings/agent/chat/best", json={"model": "large"})
    await add_provider(replica.client, "other")
    now = await revision_of(replica)

    found = await get(replica.client, "/api/tensorzero/diff", **{"from": then, "to": now})

    assert {key: found[key] for key in ("from", "to", "added", "removed", "changed")} == {
        "from": then, "to": now, "added": 1, "removed": 0, "changed": 1,
    }  # fmt: skip
    added, changed = found["items"]
    assert (added["change"], added["kind"], added["name"]) == ("added", "provider", "other")
    assert (changed["kind"], changed["name"]) == ("mapping", "agent/chat/best")
    (field,) = changed["fields"]
    assert (field["field"], field["before_name"], field["after_name"]) == (
        "model_id",
        "small at local",
        "large at local",
    )
    (write,) = changed["writes"]
    assert (write["actor"], write["operation"], write["revision"]) == ("environment key", "update", then + 1)
    changes = await get(replica.client, "/api/changes", after=then)
    assert write["at"] == changes["items"][0]["at"]


@pytest.mark.parametrize("how", ["format", "accept"])
async def test_a_difference_as_text_is_a_unified_diff_of_what_the_gateway_gets(replica: Replica, how: str) -> None:
    await small_catalogue(replica)
    then = await revision_of(replica)
    await replica.client.patch("/api/mappings/agent/chat/best", json={"model": "large"})
    now = await revision_of(replica)
    asked = f"/api/tensorzero/diff?from={now}&to={then}"

    if how == "format":
        response = await replica.client.get(f"{asked}&format=text")
    else:
        response = await replica.client.get(asked, headers={"Accept": "text/plain; charset=utf-8"})

    assert response.headers["content-type"].startswith("text/plain")
    lines = response.text.splitlines()
    assert lines[:2] == [f"--- a/tensorzero.toml\trevision {now}", f"+++ b/tensorzero.toml\trevision {then}"]
    assert [line for line in lines[2:] if line[0] in "+-"] == ['-model = "large"', '+model = "small"']


async def test_a_revision_inside_a_write_stands_for_the_whole_write(ledger: Ledger) -> None:
    ids = [row_id("model_providers", n) for n in range(3)]
    rows_ = [{"name": f"p{n}", "type": "openai"} for n in range(3)]
    inserts = [Operation("model_providers", "insert", i, row) for i, row in zip(ids, rows_, strict=True)]
    first = await ledger.registry.write(inserts[:1], actor="one write")
    last = await ledger.registry.write(inserts[1:], actor="another")

    inside = await ledger.history.at(last - 1)

    assert (inside.revision, len(inside.providers)) == (last, 3)
    assert ((await ledger.history.at(first)).revision, (await ledger.history.at(first - 1)).revision) == (first, 0)
    page = await ledger.history.writes(before=None, limit=10)
    assert [(w["revision"], w["actor"], w["changes"]) for w in page["items"]] == [
        (last, "another", [{"table": "model_providers", "operation": "insert", "rows": 2}]),
        (first, "one write", [{"table": "model_providers", "operation": "insert", "rows": 1}]),
    ]
    paged = await ledger.history.writes(before=last, limit=1)
    assert ([w["revision"] for w in paged["items"]], paged["next_before"], paged["count"]) == ([first], None, 2)


async def test_a_rollback_brings_rows_back_with_their_ids_and_leaves_the_world_alone(
    replica: Replica, database: psycopg.Connection
) -> None:
    await small_catalogue(replica)
    database.execute("insert into gpu_nodes (node_id) values ('n1')")
    database.execute("insert into api_keys (name, key_hash, scopes) values ('k', repeat('0', 64), '[\"read\"]')")
    database.execute(
        "insert into model_deployments (node_id, provider_type, announced_model, model_id, status)"
        " select 'n1', 'ollama', 'small', id, 'loaded' from models where name = 'small'"
    )
    then = await revision_of(replica)
    past = content(replica.state.registry.snapshot)
    for path in ("mappings/agent/chat/best", "models/small", "models/large", "functions/agent_chat", "providers/local"):
        assert (await replica.client.delete(f"/api/{path}")).status_code == 204
    database.execute("delete from api_keys")
    database.execute("update model_deployments set status = 'unloaded'")

    response = await replica.client.post("/api/rollback", json={"revision": then})

    assert response.status_code == 200, response.text
    done = response.json()
    assert (done["restored"], done["added"], done["removed"], done["changed"]) == (then, 5, 0, 0)
    now = replica.state.registry.snapshot
    assert (content(now), now.revision) == (past, done["revision"])
    assert (len(now.api_keys), len(now.nodes)) == (0, 1)
    (deployment,) = now.deployments
    assert deployment.status == "unloaded"
    assert now.models[str(deployment.model_id)].name == "small"
    repeated = (await replica.client.post("/api/rollback", json={"revision": then})).json()
    assert (repeated["items"], repeated["revision"]) == ([], done["revision"])


async def test_a_function_that_was_renamed_gets_its_name_and_its_variants_back(replica: Replica) -> None:
    await small_catalogue(replica)
    then, past = await revision_of(replica), content(replica.state.registry.snapshot)
    renamed = {"function_name": "talk", "name": "agent_talk"}
    assert (await replica.client.patch("/api/functions/agent_chat", json=renamed)).status_code == 200
    # Another function takes the old name, and a variant with the old name.
    await add_mapping(replica.client, "agent/chat/best", "large")

    response = await replica.client.post("/api/rollback", json={"revision": then})

    assert response.status_code == 200, response.text
    assert content(replica.state.registry.snapshot) == past


async def test_a_dry_run_of_a_rollback_writes_nothing(replica: Replica) -> None:
    await small_catalogue(replica)
    then = await revision_of(replica)
    await add_provider(replica.client, "other")
    now = await revision_of(replica)

    response = await replica.client.post("/api/rollback", json={"revision": then}, params={"dry_run": True})

    assert [(i["change"], i["name"]) for i in response.json()["items"]] == [("removed", "other")]
    assert await revision_of(replica) == now


async def test_only_administrators_roll_back(replica: Replica) -> None:
    async with replica.anonymous() as anonymous:
        problem(await anonymous.post("/api/rollback", json={"revision": 0}), 401, "E4010")


async def test_what_the_gateway_would_refuse_today_is_not_brought_back(
    replica: Replica, database: psycopg.Connection
) -> None:
    await small_catalogue(replica)
    database.execute("update models set tensorzero = '{\"model\": {\"nonsense\": 1}}' where name = 'small'")
    then = await revision_of(replica)
    repaired = await replica.client.patch("/api/models/small", json={"tensorzero": {}})
    assert repaired.status_code == 200, repaired.text
    now = await revision_of(replica)

    refused = problem(await replica.client.post("/api/rollback", json={"revision": then}), 422, "E4007")

    assert "nonsense" in refused["detail"]
    assert await revision_of(replica) == now


async def test_a_revision_that_cannot_be_had_says_which_can(replica: Replica) -> None:
    await small_catalogue(replica)
    newest = await revision_of(replica)
    await replica.state.history.trim(FOR_EVER_AGO)

    gone = {"oldest": newest, "newest": newest}
    for path, params in (
        ("/api/tensorzero/config", {"revision": newest - 1}),
        ("/api/tensorzero/diff", {"from": newest - 1, "to": newest}),
    ):
        found = problem(await replica.client.get(path, params=params), 410, "E4042")
        assert {key: found[key] for key in gone} == gone
        assert str(newest) in found["detail"]
    problem(await replica.client.post("/api/rollback", json={"revision": newest - 1}), 410, "E4042")
    problem(await replica.client.post("/api/rollback", json={"revision": newest + 1}), 404, "E4041")
    kept = await replica.client.get("/api/tensorzero/config", params={"revision": newest})
    assert kept.text == (await replica.client.get("/api/tensorzero/config")).text


async def test_a_number_that_becomes_a_float_is_a_change_like_any(replica: Replica) -> None:
    await add_provider(replica.client, "local", metadata={"x": 1})
    then = await revision_of(replica)
    await replica.client.patch("/api/providers/local", json={"metadata": {"x": 1.0}})

    now = await revision_of(replica)

    assert now > then
    assert repr(replica.state.registry.snapshot.providers.where("name", "local")[0].metadata) == "{'x': 1.0}"


def meddling(ledger: Ledger, database: psycopg.Connection, times: int) -> Registry:
    """A registry that is overtaken by another writer between its last poll and its write, a given number of times."""
    left = iter(range(times))

    def meddle(_before: Snapshot, _operations: Any) -> None:
        if (number := next(left, None)) is not None:
            database.execute("insert into model_providers (name, type) values (%s, 'openai')", [f"meddler {number}"])

    return Registry(ledger.database, origin="test", check=meddle)


async def test_a_write_during_a_rollback_is_rolled_back_too(ledger: Ledger, database: psycopg.Connection) -> None:
    database.execute("insert into model_providers (name, type) values ('first', 'openai')")
    await ledger.registry.refresh()
    then = ledger.registry.snapshot.revision
    database.execute("insert into model_providers (name, type) values ('second', 'openai')")

    done = await History(ledger.database, meddling(ledger, database, 2)).rollback(then, actor="somebody")

    assert [row.name for row in (await ledger.history.at(done.revision)).providers] == ["first"]
    assert database.execute("select name from model_providers").fetchall() == [("first",)]


async def test_a_rollback_gives_up_when_others_never_stop_writing(ledger: Ledger, database: psycopg.Connection) -> None:
    await ledger.registry.refresh()
    database.execute("insert into model_providers (name, type) values ('first', 'openai')")

    with pytest.raises(Conflict, match="Concurrent changes"):
        await History(ledger.database, meddling(ledger, database, 1000)).rollback(0, actor="somebody")

    assert ("first",) in database.execute("select name from model_providers").fetchall()


async def test_writers_and_rollbacks_at_once_leave_whole_states_behind(start_replica: Start) -> None:
    one, other = await start_replica(), await start_replica()
    await small_catalogue(one)
    then, past = await revision_of(one), content(one.state.registry.snapshot)

    async def write() -> None:
        for number in range(8):
            await add_provider(other.client, f"p{number}")

    async def roll_back() -> list[int]:
        answers = [await one.client.post("/api/rollback", json={"revision": then}) for _ in range(3)]
        return [answer.json()["revision"] for answer in answers if answer.status_code == 200]

    _, done = await asyncio.gather(write(), roll_back())

    assert done
    for revision in done:
        assert content(await one.state.history.at(revision)) == past


async def test_a_lone_write_is_refused_when_the_configuration_moved_but_not_for_what_nodes_say(
    ledger: Ledger, database: psycopg.Connection
) -> None:
    await ledger.registry.refresh()
    wanted = Operation("config_files", "insert", row_id("config_files", 1), {"path": "a", "content": ""})
    database.execute("insert into gpu_nodes (node_id) values ('n1')")
    await ledger.registry.write([wanted], actor="test", expect_unchanged=True)
    database.execute("insert into model_providers (name, type) values ('first', 'openai')")

    with pytest.raises(PreconditionFailed):
        await ledger.registry.write(
            [Operation("config_files", "delete", wanted.id)], actor="test", expect_unchanged=True
        )


async def test_a_replica_that_is_behind_what_was_trimmed_loads_anew(
    start_replica: Start, database: psycopg.Connection
) -> None:
    one = await start_replica()
    behind = await start_replica(MODEL_REGISTRY_POLL_SECONDS=3600)
    await small_catalogue(one)
    await one.client.delete("/api/mappings/agent/chat/best")
    await one.state.history.trim(FOR_EVER_AGO)
    assert len(behind.state.registry.snapshot.models) == 0
    steps: list[Any] = []
    behind.state.registry.stepped.observe(lambda *step: steps.append(step))

    await add_provider(behind.client, "own")  # a write by a replica that is behind is valid too

    now = behind.state.registry.snapshot
    assert [step[2] for step in steps] == [()]  # what listeners receive after a full load
    assert now.revision == database.execute("select max(revision) from registry_changes").fetchall()[0][0]
    assert {p.name for p in now.providers} == {"local", "own"}
    assert len(now.models) == 2


async def test_the_trimmer_forgets_what_is_older_than_the_setting_says(
    start_replica: Start, database: psycopg.Connection
) -> None:
    first = await start_replica()
    await small_catalogue(first)
    await first.client.patch("/api/models/small", json={"description": "new"})
    newest = await revision_of(first)
    database.execute("update registry_changes set at = at - interval '3 days'")
    before = await get(first.client, "/api/changes")
    assert (await get(first.client, "/api/history"))["oldest"] == 0

    await start_replica(MODEL_REGISTRY_KEEP_CHANGES_DAYS=2)

    async def trimmed() -> bool:
        return bool((await get(first.client, "/api/history"))["oldest"] == newest)

    await until(trimmed)
    after = await get(first.client, "/api/changes")
    assert after["count"] == before["count"] - 1  # of the changed model, the newest entry
    assert (await get(first.client, "/api/models/small"))["description"] == "new"


async def test_an_empty_registry_has_revision_0_and_no_other(ledger: Ledger) -> None:
    assert difference(await ledger.history.at(0), ledger.registry.snapshot) == []  # there is the first gateway
    with pytest.raises(RevisionNotFound):
        await ledger.history.at(1)
