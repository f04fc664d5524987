"""Callers learn what is wrong with the database, or with the connection to it, and what to do."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
import psycopg
import pytest

from model_registry.settings import Settings
from model_registry.store.client import connect
from model_registry.store.registry import Registry
from support.catalogue import add_provider, problem
from support.database import table_on_a_small_disk
from support.replica import Replica

StartReplica = Callable[..., Awaitable[Replica]]
PROVIDER = {"name": "p", "type": "openai"}


async def test_a_full_disk_is_said_and_reads_go_on(stack: Any, replica: Replica, database: psycopg.Connection) -> None:
    await add_provider(replica.client)

    with table_on_a_small_disk(stack, database, "config_files"):
        answer = await replica.client.put("/api/tensorzero/files/a.txt", json={"content": os.urandom(2_000_000).hex()})

        told = problem(answer, 503, "E5030")
        assert "disk is full" in told["detail"]
        assert "space" in told["detail"]
        assert int(answer.headers["retry-after"]) > 0
        assert (await replica.client.get("/api/providers")).json()["count"] == 1

    assert (await replica.client.post("/api/providers", json=PROVIDER)).status_code == 201


STATES = {
    "53100": "disk is full",
    "53200": "memory",
    "53300": "connections",
    "53400": "limit",
    "54001": "nested",
    "55000": "retry the write",
    "55006": "retry the write",
    "57014": "took too long",
    "57P01": "retry the write",
    "57P03": "retry the write",
    "58000": "its log",
    "58030": "its log",
    "58P01": "its log",
    "XX001": "damaged",
    "XX002": "damaged",
}
WRONG = ("57014", "XX001", "XX002")
"""What repeating the request does not help."""


async def test_trouble_inside_postgres_says_what_to_do(
    replica: Replica, database: psycopg.Connection, subtests: pytest.Subtests
) -> None:
    try:
        for state, word in STATES.items():
            database.execute(f"""
                create or replace function fail() returns trigger language plpgsql as $$ begin
                    raise exception 'secret' using errcode = '{state}';
                end $$;
                create or replace trigger fail before insert on model_providers for each row execute function fail();
            """)
            with subtests.test(state=state):
                answer = await replica.client.post("/api/providers", json=PROVIDER)
                assert answer.status_code == (422 if state[:2] == "54" else 500 if state in WRONG else 503)
                assert word in answer.json()["detail"], answer.json()["detail"]
                assert "secret" not in answer.text
    finally:
        database.execute("drop trigger fail on model_providers; drop function fail")


async def test_a_clock_that_is_ahead_of_the_databases_stops_nothing(
    stack: Any, environment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgREST refuses a token that was made in the future, and nobody needs to know when ours was."""
    own = {**environment, "POSTGREST_KEY": None, "POSTGREST_JWT_SECRET": stack.secret("postgrest_jwt")}
    real = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: real() + 45)
        database = await connect(Settings(**own))
    registry = Registry(database, origin="test")

    await registry.refresh()

    assert registry.last_error is None
    await database.close()


def keys(secret: str) -> dict[str, tuple[str, str]]:
    """Keys that PostgREST refuses, and a word of the remedy for each."""
    now = int(time.time())

    def signed(key: str = secret, algorithm: str = "HS256", **claims: Any) -> str:
        return jwt.encode({"role": "service_role", **claims}, key, algorithm=algorithm)

    return {
        "of another secret": (signed("x" * 40), "JWT secret"),
        "expired": (signed(exp=now - 3600), "expired"),
        "made in the future": (signed(iat=now + 3600), "clock"),
        "not good yet": (signed(nbf=now + 3600), "clock"),
        "no token": ("not a token", "JWT secret"),
        "of a role that is not there": (signed(role="nobody"), "service_role"),
    }


async def test_a_key_that_postgrest_refuses_is_503_and_says_what_to_do(
    stack: Any, start_replica: StartReplica, subtests: pytest.Subtests
) -> None:
    for name, (key, word) in keys(stack.secret("postgrest_jwt")).items():
        with subtests.test(key=name):
            replica = await start_replica(POSTGREST_KEY=key)
            for method in ("GET", "POST"):
                answer = await replica.client.request(method, "/api/providers", json=PROVIDER)
                told = problem(answer, 503, "E5030")["detail"]
                assert word in told
                assert answer.headers["retry-after"]
            assert word in (await replica.client.get("/readyz")).json()["dependencies"]["database"]["detail"]


async def test_a_key_that_ends_while_the_service_runs_is_503_for_writes_and_reads_go_on(
    stack: Any, start_replica: StartReplica
) -> None:
    """It was valid when the snapshot was loaded."""
    replica = await start_replica()
    expired = jwt.encode({"role": "service_role", "exp": 1}, stack.secret("postgrest_jwt"), algorithm="HS256")
    connection = replica.state.registry._database  # noqa: SLF001 (time is not waited for)
    connection.http.headers["Authorization"] = f"Bearer {expired}"

    told = problem(await replica.client.post("/api/providers", json=PROVIDER), 503, "E5030")

    assert "expired" in told["detail"]
    assert (await replica.client.get("/api/providers")).status_code == 200
