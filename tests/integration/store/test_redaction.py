"""`model-registry db redact` removes a secret from all rows and the change log, and replicas follow."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from model_registry.cli import app
from model_registry.store import redaction
from support.catalogue import add_model, add_provider, get
from support.database import TABLES
from support.processes import run
from support.replica import Replica
from support.secret_examples import HEX_KEY, PASSWORD, SHAPED
from support.waiting import until

SCHEMA = "model_registry"
KEY = SHAPED["openai project"]
ODD = 'a "quoted" \\ pass wörd'
EVERYWHERE = """
update model_providers set api_base = 'http://host:8000/v1?key=' || %(key)s, api_key_env_var = %(name)s,
    metadata = jsonb_build_object('deep', jsonb_build_array(jsonb_build_object('password', %(odd)s::text)))
where name = 'p';
update models set description = 'uses ' || %(key)s, metadata = jsonb_build_object(%(key)s::text, 1.0, 'n', 1.5e-7)
where name = 'm';
update models set description = null where name = 'm';
insert into functions (service_name, function_name, name, tensorzero)
    values ('s', 'f', null, jsonb_build_object('x', %(key)s::text));
delete from functions where service_name = 's';
insert into config_files (path, content) values ('a.txt', 'say ' || %(key)s);
insert into model_deployments (node_id, provider_type, announced_model, error_message)
    values ('n', 'ollama', 'm', %(key)s), ('n', 'ollama', 'other', 'x');
update model_deployments set error_message = 'was ' || %(key)s where announced_model = 'other';
update gpu_nodes set labels = jsonb_build_object('l', %(key)s::text);
insert into rejected_events (received_at, subject, reason, payload)
    values (now(), 's', 'r ' || %(key)s, '{"password": ' || to_json(%(odd)s::text)::text || '}')
"""


def fill(database: psycopg.Connection) -> None:
    database.execute("insert into gpu_nodes (node_id) values ('n')")
    with psycopg.ClientCursor(database) as cursor:
        for statement in EVERYWHERE.split(";"):  # each a revision of its own
            cursor.execute(statement, {"key": KEY, "odd": ODD, "name": "K" + HEX_KEY})
    with database.transaction():
        database.execute("select set_config('registry.actor', %s, true)", [f"somebody with {KEY}"])
        database.execute("update models set description = 'third' where name = 'm'")


def holding(database: psycopg.Connection, *secrets: str) -> list[str]:
    """The tables whose dump contains one of these, plain or escaped in JSON."""
    found = []
    for table in TABLES:
        dump = str(database.execute(f"select t::text, to_jsonb(t)::text from {table} t").fetchall())  # noqa: S608 (ours)
        dump += "".join(str(row[0]) for row in database.execute(f"select to_jsonb(t) from {table} t"))  # noqa: S608
        found += [table for secret in secrets if secret in dump]
    return found


def entries(database: psycopg.Connection) -> list[Any]:
    """What of the change log stays as it is."""
    query = "select revision, at, table_name, row_id, operation, transaction_id::text from registry_changes order by 1"
    return database.execute(query).fetchall()


async def command(environment: dict[str, str], *arguments: str, secret: str = "") -> Result:
    """The command, run in this process: starting one takes longer than its work."""

    def invoke() -> Result:
        return CliRunner().invoke(app, ["db", "redact", *arguments], input=secret, env=environment)

    return await asyncio.to_thread(invoke)


@pytest.fixture
async def filled(replica: Replica, database: psycopg.Connection) -> Replica:
    await add_provider(replica.client, "p", type="openai_compatible", api_base="http://host:8000/v1")
    await add_model(replica.client, "m", "p")
    fill(database)
    await replica.state.registry.refresh()
    return replica


async def test_a_secret_leaves_rows_and_log_and_a_rollback_yields_the_mask(
    filled: Replica, start_replica: Any, database: psycopg.Connection, database_url: str
) -> None:
    other = await start_replica()
    environment = {"DATABASE_URL": database_url}
    assert len(set(holding(database, KEY))) >= 6
    before = database.execute(
        "select revision, at, table_name, row_id, operation from registry_changes order by 1"
    ).fetchall()

    tried = await command(environment, secret=f"{KEY}\n")
    assert (tried.exit_code, tried.stderr) == (0, "")
    assert "Nothing was changed" in tried.stdout
    assert "model_providers" in tried.stdout
    assert "registry_changes  revision" in tried.stdout
    assert len(set(holding(database, KEY))) >= 6
    done = await command(environment, "--yes", secret=f"{KEY}\n")

    assert done.exit_code == 0, done.stderr
    assert holding(database, KEY) == []
    assert not any(KEY[8:30] in output for output in (tried.stdout, done.stdout, done.stderr))
    kept = database.execute(
        "select revision, at, table_name, row_id, operation from registry_changes order by 1"
    ).fetchall()
    assert kept[: len(before)] == before
    mask = f"sk-p…({len(KEY)} characters)"
    for follower in (filled, other):
        await until(partial(_follows, follower))
        row = await get(follower.client, "/api/models/m")
        assert row["metadata"] == {mask: 1.0, "n": 1.5e-07}
    provider = await get(filled.client, "/api/providers/p")
    assert provider["api_base"] == f"http://host:8000/v1?key={mask.replace(' ', '-')}"
    revision = database.execute(
        "select max(revision) from registry_changes where after ->> 'description' like 'uses %'"
    ).fetchone()
    assert revision is not None
    back = await filled.client.post("/api/rollback", json={"revision": revision[0]})
    assert back.status_code == 200, back.text
    assert (await get(filled.client, "/api/models/m"))["description"] == f"uses {mask}"
    assert KEY not in (await filled.client.get("/api/changes", params={"limit": 1000})).text
    assert (await command(environment, "--yes", secret=KEY)).stdout == "No secret was found.\n"


async def _follows(replica: Replica) -> bool:
    return KEY not in str(replica.state.registry.snapshot.document())


async def test_a_secret_with_quotes_is_found_where_it_stands_in_json(
    filled: Replica, database: psycopg.Connection, database_url: str
) -> None:
    found = redaction.find_secret(database_url, SCHEMA, ODD)
    assert {one.table for one in found} >= {"model_providers", "registry_changes", "rejected_events"}

    redaction.redact(database_url, SCHEMA, [ODD])

    assert redaction.find_secret(database_url, SCHEMA, ODD) == []
    assert holding(database, ODD, "pass wörd") == []
    assert holding(database, KEY) != []
    assert filled.state.registry.loaded


async def test_all_that_is_found_goes_at_once(filled: Replica, database: psycopg.Connection, database_url: str) -> None:
    database.execute(
        "update models set metadata = jsonb_build_object('password', %s::text), description = %s where name = 'm'",
        ["hunter2x", "the hunter2x model"],
    )
    environment = {"DATABASE_URL": database_url}
    listed = await command(environment, "--find")
    assert listed.exit_code == 1
    assert KEY[8:30] not in listed.stdout

    done = await command(environment, "--all-found", "--yes")

    assert done.exit_code == 0, done.stderr
    assert holding(database, KEY) == []
    assert (await command(environment, "--find")).stdout == "No secret was found.\n"
    await filled.state.registry.refresh()
    row = await get(filled.client, "/api/models/m")
    assert row["metadata"] == {"password": "…(8 characters)"}
    assert row["description"] == "the hunter2x model"  # a short one may be a word elsewhere


async def test_it_is_safe_while_others_write(filled: Replica, database_url: str, database: psycopg.Connection) -> None:
    done = asyncio.Event()

    async def write() -> int:
        number = 0
        while not done.is_set():
            answer = await filled.client.patch("/api/models/m", json={"description": f"number {number}"})
            assert answer.status_code == 200, answer.text
            number += 1
        return number

    writer = asyncio.create_task(write())
    await asyncio.to_thread(redaction.redact, database_url, SCHEMA, [KEY])
    done.set()

    assert await writer
    assert holding(database, KEY) == []


def test_a_secret_too_short_is_no_secret_and_arguments_take_none(database_url: str) -> None:
    short = run("db", "redact", environment={"DATABASE_URL": database_url})
    assert short.returncode == 2
    argument = run("db", "redact", PASSWORD, environment={"DATABASE_URL": database_url})
    assert argument.returncode == 2


def test_what_libpq_quotes_of_an_address_is_no_password() -> None:
    url = f"postgresql://u:{PASSWORD}/{HEX_KEY}@127.0.0.1/x"

    refused = run("db", "status", environment={"DATABASE_URL": url})

    assert refused.returncode == 3
    assert PASSWORD not in refused.stderr
    assert HEX_KEY not in refused.stderr


def test_what_the_runner_of_migrations_writes_down_is_no_place_for_secrets(database_url: str) -> None:
    """It holds the names of all functions: rewritten, none of them would be found again."""
    assert redaction.find_secret(database_url, SCHEMA, "registry_snapshot") == []
