"""Refusals and failures of the database: callers only ever see the registry's own messages."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import jwt
import psycopg
import pytest

from model_registry.entities.change import Operation
from model_registry.errors import (
    AlreadyExists,
    InUse,
    Invalid,
    InvalidModel,
    NotFound,
    PreconditionFailed,
    RegistryError,
    StorageError,
    StorageMisconfigured,
    StorageUnavailable,
    UnknownReference,
)
from model_registry.settings import Settings
from model_registry.store import client as store_client
from model_registry.store.client import connect
from model_registry.store.constraints import CONSTRAINTS
from model_registry.store.errors import AWAY, STATES, TROUBLE, DatabaseError, translated
from model_registry.store.registry import Registry
from support.catalogue import add_provider, problem
from support.replica import Replica

StartReplica = Callable[..., Awaitable[Replica]]

LEAK = "the password is hunter2 in relation models at line 7"
PROVIDER = {"name": "p", "type": "openai"}


@pytest.fixture
async def registry(environment: dict[str, Any]) -> AsyncIterator[Registry]:
    """A registry without the checks before the database's own."""
    database = await connect(Settings(**environment))
    made = Registry(database, origin="test")
    await made.refresh()
    yield made
    await database.close()


def insert(table: str, **columns: Any) -> Operation:
    return Operation(table, "insert", str(uuid.uuid4()), columns)


async def test_what_the_tables_refuse_is_said_in_our_words(registry: Registry, subtests: pytest.Subtests) -> None:
    provider = insert("model_providers", **PROVIDER)
    model = insert("models", provider_id=provider.id, name="m", model_id="m")
    mapping = insert("service_model_mappings", service_name="s", function_name="f", variant_name="v", model_id=model.id)
    await registry.write([provider, model, mapping], actor="a")
    function = registry.snapshot.functions.where("name", "s_f")[0]
    nobody = str(uuid.uuid4())

    def model_with(**columns: Any) -> Operation:
        return insert("models", **{"provider_id": provider.id, "name": "n", "model_id": "n", **columns})

    providers = "model_providers"
    cases: list[tuple[Operation, type[RegistryError], str]] = [
        (insert(providers, **PROVIDER), AlreadyExists, "model_providers_name_key"),
        (insert(providers, name="q", type="x"), Invalid, "model_providers_type_known"),
        (insert(providers, name="", type="openai"), Invalid, "registry_key_is_printable"),
        (insert(providers, name="n" * 201, type="openai"), Invalid, "registry_key_is_short"),
        (insert(providers, name=None, type="openai"), Invalid, "23502"),
        (model_with(name="m"), AlreadyExists, "models_provider_id_name_key"),
        (model_with(provider_id=nobody), UnknownReference, "models_provider_id_fkey"),
        (model_with(vram_mb=-1), InvalidModel, "models_vram_mb_not_negative"),
        (model_with(name="n" * 301), InvalidModel, "registry_name_is_short"),
        (model_with(provider_id="x"), InvalidModel, "22P02"),
        (model_with(vram_mb=2**40), InvalidModel, "22003"),
        (model_with(name="\x00"), Invalid, "22P05"),
        (Operation(providers, "delete", provider.id), InUse, "models_provider_id_fkey"),
        (Operation("models", "delete", model.id), InUse, "service_model_mappings_model_id_fkey"),
        (Operation("functions", "delete", function.id), InUse, "service_model_mappings_function_fkey"),
        (Operation("models", "update", nobody, {"name": "x"}), NotFound, "MR404"),
        (Operation("models", "delete", nobody), NotFound, "MR404"),
        (Operation("models", "update", model.id, {"name": "x"}, 7), PreconditionFailed, "MR412"),
    ]
    for operation, kind, message in cases:
        with subtests.test(operation=str(operation)[:90]):
            with pytest.raises(RegistryError) as caught:
                await registry.write([insert("functions", service_name="x", function_name="y"), operation], actor="a")
            assert type(caught.value) is kind
            assert caught.value.message == (CONSTRAINTS.get(message) or STATES[message][1])
            # NUL does not even reach the function that could say which operation it was.
            assert caught.value.data["operation"] == (None if message == "22P05" else 1)
    assert registry.stale_seconds() is None
    assert registry.snapshot.functions.where("name", "x_y") == []


async def test_deleting_what_others_refer_to_is_in_use_on_older_postgres_too(
    registry: Registry, database: psycopg.Connection
) -> None:
    """Before 18, Postgres had one code for both ends of a foreign key, as `no action` has still."""
    provider = insert("model_providers", **PROVIDER)
    await registry.write([provider], actor="a")
    database.execute("create table referrer (id uuid references model_providers (id))")
    try:
        database.execute("insert into referrer values (%s)", [provider.id])
        with pytest.raises(InUse):
            await registry.write([Operation("model_providers", "delete", provider.id)], actor="a")
    finally:
        database.execute("drop table referrer")


FAILURES = {
    "23514": (422, "E4005"),
    "22003": (422, "E4005"),
    "54000": (422, "E4005"),
    "25006": (503, "E5030"),
    "40P01": (503, "E5030"),
    "53300": (503, "E5030"),
    "55P03": (503, "E5030"),
    "57014": (500, "E5041"),
    "57P01": (503, "E5030"),
    "58030": (503, "E5030"),
    "42501": (500, "E5001"),
    "42P01": (500, "E5001"),
    "42883": (500, "E5001"),
    "42703": (500, "E5000"),
    "P0001": (500, "E5000"),
    "XX000": (500, "E5000"),
    "28000": (500, "E5000"),
    "PT401": (500, "E5000"),
}


async def test_however_the_database_fails_nothing_of_it_reaches_the_caller(
    replica: Replica, database: psycopg.Connection, subtests: pytest.Subtests
) -> None:
    await add_provider(replica.client)
    try:
        for state, (status, code) in FAILURES.items():
            database.execute(f"""
                create or replace function fail() returns trigger language plpgsql as $$ begin
                    raise exception '{LEAK}' using errcode = '{state}', detail = '{LEAK}', hint = '{LEAK}';
                end $$;
                create or replace trigger fail before insert on model_providers for each row execute function fail();
            """)
            with subtests.test(state=state):
                answer = await replica.client.post("/api/providers", json=PROVIDER)
                problem(answer, status, code)
                assert ("retry-after" in answer.headers) is (status == 503)
                shown = answer.text + str(answer.headers) + (await replica.client.get("/readyz")).text
                assert not any(word in shown for word in ("hunter2", "relation", "PGRST", state))
                assert (await replica.client.get("/api/providers")).json()["count"] == 1
    finally:
        database.execute("drop trigger fail on model_providers; drop function fail")
    assert (await replica.client.post("/api/providers", json=PROVIDER)).status_code == 201


def wrong_keys(stack: Any) -> dict[str, str]:
    """Keys that PostgREST refuses, each in its own way."""
    secret = stack.secret("postgrest_jwt")
    return {
        "of another secret": jwt.encode({"role": "service_role"}, "x" * 40, algorithm="HS256"),
        "expired": jwt.encode({"role": "service_role", "exp": 1}, secret, algorithm="HS256"),
        "no token": "not a token",
        "of a role that may not": jwt.encode({"role": "anon"}, secret, algorithm="HS256"),
        "of a role that is not there": jwt.encode({"role": "nobody"}, secret, algorithm="HS256"),
    }


async def test_a_key_that_postgrest_refuses_is_our_fault_and_not_the_callers(
    stack: Any, start_replica: StartReplica, environment: dict[str, Any], subtests: pytest.Subtests
) -> None:
    cache = {"MODEL_REGISTRY_CACHE_DIR": environment["MODEL_REGISTRY_CACHE_DIR"]}
    first = await start_replica(**cache)
    await add_provider(first.client)
    await first.state.registry.refresh()
    (environment["MODEL_REGISTRY_CACHE_DIR"]).mkdir(exist_ok=True)
    for name, key in wrong_keys(stack).items():
        with subtests.test(key=name):
            replica = await start_replica(POSTGREST_KEY=key)
            for method in ("GET", "POST"):
                answer = await replica.client.request(method, "/api/providers", json=PROVIDER)
                assert answer.status_code in (500, 503), answer.text
                assert "www-authenticate" not in answer.headers
            ready = await replica.client.get("/readyz")
            assert (ready.status_code, ready.json()["dependencies"]["database"]["status"]) == (503, "down")
            assert key not in ready.text
            assert not any(word in ready.text for word in ("PGRST", "JWSError", "JWT expired", "permission denied"))


async def test_a_schema_that_is_not_there_or_not_offered_says_what_to_do(
    start_replica: StartReplica, database: psycopg.Connection
) -> None:
    replica = await start_replica(MODEL_REGISTRY_SCHEMA="elsewhere")
    detail = (await replica.client.get("/readyz")).json()["dependencies"]["database"]["detail"]
    assert "PGRST_DB_SCHEMAS" in detail

    replica = await start_replica()
    database.execute("alter function registry_write rename to registry_write_away")
    database.execute("notify pgrst, 'reload schema'")
    try:
        answer = await replica.client.post("/api/providers", json=PROVIDER)
        assert "model-registry db migrate" in problem(answer, 500, "E5001")["detail"]
    finally:
        database.execute("alter function registry_write_away rename to registry_write")
        database.execute("notify pgrst, 'reload schema'")


@contextmanager
def somebody_else(status: int, body: bytes, content_type: str = "text/html") -> Iterator[str]:
    """A server that is not PostgREST, and returns the same response to everyone."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.send_header("location", "/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


STRANGERS = {
    "a page": (200, b"<html>hunter2</html>", "text/html"),
    "another JSON": (200, b'{"hello": "hunter2"}', "application/json"),
    "a list": (200, b"[]", "application/json"),
    "null": (200, b"null", "application/json"),
    "a number that Python does not read": (200, b"1" * 5000, "application/json"),
    "nothing": (204, b"", "text/plain"),
    "not found": (404, b"<html>hunter2</html>", "text/html"),
    "forbidden": (403, b'{"message":"hunter2"}', "application/json"),
    "no key": (401, b'{"message":"hunter2"}', "application/json"),
    "broken": (500, b"hunter2", "text/plain"),
    "bad gateway": (502, b"<html>hunter2</html>", "text/html"),
    "a redirect": (302, b"", "text/html"),
    "too many requests": (429, b'{"message":"hunter2"}', "application/json"),
}


async def test_whoever_else_answers_at_the_address_is_not_taken_for_a_database(
    environment: dict[str, Any], subtests: pytest.Subtests
) -> None:
    for name, answer in STRANGERS.items():
        with subtests.test(answer=name), somebody_else(*answer) as url:
            database = await connect(Settings(**{**environment, "POSTGREST_URL": url}))
            registry = Registry(database, origin="test")
            try:
                with pytest.raises(StorageError) as caught:
                    await registry.refresh()
                assert "hunter2" not in caught.value.message
                with pytest.raises(StorageUnavailable, match="no data yet"):
                    _ = registry.snapshot
            finally:
                await database.close()


async def test_a_database_that_takes_its_time_is_given_up_on(
    environment: dict[str, Any], monkeypatch: pytest.MonkeyPatch, database: psycopg.Connection
) -> None:
    monkeypatch.setattr(store_client, "TIMEOUT", httpx2.Timeout(0.3))
    connection = await connect(Settings(**environment))
    registry = Registry(connection, origin="test")
    await registry.refresh()
    with database.transaction():
        database.execute("select registry_lock()")  # like a person who writes in psql and leaves the transaction open
        with pytest.raises(StorageUnavailable):
            await registry.write([insert("model_providers", **PROVIDER)], actor="a")
        await registry.refresh()  # readers do not wait for writers
    await connection.close()


BARE = {
    "no key": (401, b'{"message":"No API key found in request"}', TROUBLE["401"]),
    "forbidden": (403, b'{"message":"hunter2"}', TROUBLE["401"]),
    "no such route": (404, b'{"message":"no Route matched with those values"}', TROUBLE["404"]),
    "too many requests": (429, b'{"message":"hunter2"}', AWAY),
    "a code that is nothing": (503, b'{"code":null,"message":null}', AWAY),
    "a list": (502, b"[1]", AWAY),
}


@pytest.mark.parametrize("name", BARE)
async def test_json_without_a_code_is_read_by_its_status(environment: dict[str, Any], name: str) -> None:
    """The response of gateways such as Kong, which is in front of Supabase's PostgREST."""
    status, body, message = BARE[name]
    with somebody_else(status, body, "application/json") as url:
        database = await connect(Settings(**{**environment, "POSTGREST_URL": url}))
        with pytest.raises(StorageUnavailable, match=re.escape(message)):
            await database.call("registry_snapshot")
        await database.close()


def test_postgrests_code_is_read_from_its_header_where_a_proxy_has_replaced_the_body() -> None:
    header = {"Proxy-Status": 'PostgREST; error="PGRST202"'}
    error = DatabaseError.of(httpx2.Response(404, headers=header, content=b"<html>"))

    assert (error.code, error.details) == ("PGRST202", "<html>")
    assert type(translated(error)) is StorageMisconfigured
    assert DatabaseError.of(httpx2.Response(404, headers={"Proxy-Status": "other; error=x"})).code == "404"


def test_the_longest_a_caller_waits_for_the_database_is_known() -> None:
    assert httpx2.Timeout(15.0, connect=2.0) == store_client.TIMEOUT
