"""Jobs in the database: one owner, recorded before it is sent, and bounded."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest

from model_registry.entities.json_types import Json
from model_registry.store.client import Database

LEASE = 3600.0


def job(**fields: Any) -> dict[str, Any]:
    """The columns of a new job."""
    row = {"id": str(uuid.uuid4()), "model_type": "LSTM", "phase": "queued", "request": '{"config":{}}'}
    return {**row, "total_seconds": 600.0, "request_digest": "d", "created_by": "trainer", **fields}


async def create(connection: Database, row: dict[str, Any], owner: str = "one", most: int = 100) -> Any:
    return await connection.call("registry_create_job", job=row, caller=owner, lease_seconds=LEASE, most_open=most)


async def update(connection: Database, row: dict[str, Any], owner: str, **changes: Any) -> Any:
    return await connection.call(
        "registry_update_job", job_id=row["id"], caller=owner, changes=changes, lease_seconds=LEASE
    )


async def claim(connection: Database, owner: str) -> list[str]:
    rows = await connection.call("registry_claim_jobs", caller=owner, lease_seconds=LEASE, most=10)
    return [row["id"] for row in rows]


def expire(database: psycopg.Connection) -> None:
    """Let every lease be over, as when the owners were killed long ago."""
    database.execute("update service_jobs set lease_until = now() - interval '1 second' where finished_at is null")


async def test_a_job_is_its_creators_until_the_lease_ends(connection: Database, database: psycopg.Connection) -> None:
    row = job()
    made = await create(connection, row)
    assert (made["created"], made["job"]["owner"], made["job"]["version"]) == (True, "one", 1)
    assert await claim(connection, "two") == []

    expire(database)

    assert await claim(connection, "two") == [row["id"]]
    assert await update(connection, row, "one", phase="training_sent") is None
    assert (await update(connection, row, "two", phase="training_sent", sender="two"))["phase"] == "training_sent"


async def test_renewing_keeps_it_unless_another_has_it(connection: Database, database: psycopg.Connection) -> None:
    kept, lost = job(), job()
    await create(connection, kept)
    await create(connection, lost)
    expire(database)
    database.execute("update service_jobs set owner = 'two' where id = %s", [lost["id"]])

    ids = [kept["id"], lost["id"]]
    renewed = await connection.call("registry_renew_jobs", job_ids=ids, caller="one", lease_seconds=LEASE)

    assert renewed == [kept["id"]]
    assert await claim(connection, "three") == [lost["id"]]


async def test_released_jobs_are_taken_over_at_once(connection: Database) -> None:
    row = job()
    await create(connection, row)

    assert await connection.call("registry_release_jobs", caller="one") == 1

    assert await claim(connection, "two") == [row["id"]]


async def test_one_key_of_one_caller_makes_one_job(connection: Database) -> None:
    first = job(idempotency_key="k")
    await create(connection, first)

    again = await create(connection, job(idempotency_key="k", request_digest="other"))
    elsewhere = await create(connection, job(idempotency_key="k", created_by="someone else"))

    assert (again["created"], again["job"]["id"], again["job"]["request_digest"]) == (False, first["id"], "d")
    assert elsewhere["created"]


async def test_the_same_job_written_twice_is_one(connection: Database, database: psycopg.Connection) -> None:
    row = job()
    await create(connection, row)
    assert not (await create(connection, row))["created"]
    assert database.execute("select count(*) from service_jobs").fetchone() == (1,)


async def test_there_is_room_for_a_number_of_open_jobs(connection: Database) -> None:
    for _ in range(2):
        await create(connection, job(), most=2)
    assert await create(connection, job(), most=2) == {"open": 2}


async def test_what_ended_is_final_and_loses_its_request(connection: Database) -> None:
    row = job()
    await create(connection, row)
    ended = await update(connection, row, "one", phase="failed", error={"code": "E5021", "message": "no"})
    assert ended["finished_at"]
    assert await update(connection, row, "one", phase="training_sent") is None
    (shown,) = await connection.call("registry_jobs_by_id", job_ids=[row["id"]])
    assert (shown["phase"], shown["error"], shown["lease_until"]) == (
        "failed",
        {"code": "E5021", "message": "no"},
        None,
    )


async def test_the_sender_alone_may_say_how_an_unknown_outcome_was(
    connection: Database, database: psycopg.Connection
) -> None:
    row = job()
    await create(connection, row)
    await update(connection, row, "one", phase="training_sent", sender="one")
    expire(database)
    await claim(connection, "two")
    assert (await update(connection, row, "two", phase="unknown"))["phase"] == "unknown"

    assert await update(connection, row, "two", phase="succeeded") is None
    assert await update(connection, row, "one", phase="training") is None
    assert (await update(connection, row, "one", phase="succeeded"))["phase"] == "succeeded"


@pytest.mark.parametrize(
    ("phase", "after"),
    [
        ("queued", "cancelled"),
        ("preparing", "cancelled"),
        ("prepared", "cancelled"),
        ("training_sent", "training_sent"),
        ("training", "training"),
    ],
)
async def test_only_what_was_not_sent_is_cancelled(connection: Database, phase: str, after: str) -> None:
    row = job(phase=phase)
    await create(connection, row)

    answer = await connection.call("registry_cancel_job", job_id=row["id"], reason="by a person")

    assert answer["phase"] == after
    assert (await update(connection, row, "one", detail="on it") is None) == (after == "cancelled")


async def test_of_a_job_that_is_not_there_nothing_is_answered(connection: Database) -> None:
    assert await connection.call("registry_cancel_job", job_id=str(uuid.uuid4()), reason="") is None
    assert await connection.call("registry_jobs_by_id", job_ids=[str(uuid.uuid4())]) == []


async def test_pages_are_newest_first_and_filtered(connection: Database) -> None:
    for number, kind in enumerate(("LSTM", "lstm", "GRU")):
        await create(connection, job(model_type=kind, created_at=f"2026-11-30T00:00:0{number}Z"))

    async def listed(types: Json, phases: Json, offset: int = 0) -> tuple[list[str], int]:
        page = await connection.call("registry_jobs", model_types=types, phases=phases, page_size=2, page_offset=offset)
        return [row["model_type"] for row in page["items"]], page["count"]

    assert await listed(None, None) == (["GRU", "lstm"], 3)
    assert await listed(None, ["queued"], 2) == (["LSTM"], 3)
    assert await listed(["lstm"], None) == (["lstm", "LSTM"], 2)
    assert await listed(None, ["failed"]) == ([], 0)


async def test_the_oldest_that_ended_are_trimmed_by_number_and_by_size(
    connection: Database, database: psycopg.Connection
) -> None:
    database.execute("""
        insert into service_jobs (
            id, model_type, phase, total_seconds, request_digest, created_by, finished_at, answer_body)
        select gen_random_uuid(), case when n <= 1005 then 'old' else 'large' end, 'succeeded', 1, 'd', 'c',
            now() + make_interval(secs => n), case when n > 1005 then repeat('x', 1048576) end
        from generate_series(1, 1005 + 2) n""")
    row = job()
    await create(connection, row)
    await update(connection, row, "one", phase="failed")

    kept: dict[str, int] = dict(database.execute("select model_type, count(*) from service_jobs group by 1").fetchall())
    assert kept == {"large": 2, "old": 998}, "those that ended last are kept: this one ended before all of them"


async def test_two_replicas_that_claim_at_once_share_no_job(connection: Database, database: psycopg.Connection) -> None:
    ids = {row["id"] for row in [await _created(connection) for _ in range(4)]}
    expire(database)
    with psycopg.connect(database.info.dsn, password=database.info.password) as other:
        other.execute("set search_path to model_registry")
        held = other.execute("select registry_claim_jobs('two', 60, 2)").fetchone()
        assert held is not None
        mine = await claim(connection, "one")
    assert {row["id"] for row in held[0]} | set(mine) == ids
    assert len(held[0]) + len(mine) == 4


async def _created(connection: Database) -> dict[str, Any]:
    row = job()
    await create(connection, row)
    return row
