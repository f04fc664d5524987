"""`model-registry db`: an empty schema, brought up to date and filled."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jwt
import psycopg
import pytest

from support.database import new_database
from support.paths import FIXTURES
from support.processes import run

SCHEMA = "another_registry"


@pytest.fixture
def environment(stack: Any) -> Iterator[dict[str, str]]:
    """A schema that does not exist yet, in an existing database."""
    url = stack.environment()["DATABASE_URL"]
    yield {"DATABASE_URL": url, "MODEL_REGISTRY_SCHEMA": SCHEMA}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"drop schema if exists {SCHEMA} cascade")


def test_a_schema_is_migrated_and_seeded_and_a_second_time_nothing_happens(environment: dict[str, str]) -> None:
    before = run("db", "status", environment=environment)
    assert before.returncode == 1
    assert "missing  0001_roles" in before.stdout
    assert "model-registry db migrate" in before.stderr

    migrated = run("db", "migrate", environment=environment).stdout
    assert "applied 0001_roles" in migrated
    assert re.search(r"^schema: \d+ files changed$", migrated, re.MULTILINE)
    assert run("db", "migrate", environment=environment).stdout == "the schema is up to date\n"
    after = run("db", "status", environment=environment)
    assert (after.returncode, "missing" in after.stdout) == (0, False)

    assert "loaded 010_providers.sql" in run("db", "seed", environment=environment).stdout
    first = contents(environment)
    assert first[0] >= 12  # providers
    assert first[1] >= 40  # models
    assert run("db", "seed", environment=environment).returncode == 0
    assert contents(environment) == first


def test_a_schema_that_is_another_than_the_files_is_outdated_until_it_is_migrated(environment: dict[str, str]) -> None:
    run("db", "migrate", environment=environment)
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        connection.execute("update another_registry.schema_files set digest = 'another' where name = '30_read'")

    before = run("db", "status", environment=environment)
    assert before.returncode == 1
    assert "outdated schema/30_read" in before.stdout
    assert "model-registry db migrate" in before.stderr

    assert run("db", "migrate", environment=environment).stdout == "schema: 1 file changed\n"
    assert run("db", "status", environment=environment).returncode == 0


def contents(environment: dict[str, str]) -> tuple[int, int, int]:
    """Providers, models, and the revision."""
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        connection.execute(f"set search_path to {SCHEMA}")
        row = connection.execute(
            "select (select count(*) from model_providers), (select count(*) from models),"
            " (select max(revision) from registry_changes)"
        ).fetchone()
    assert row is not None
    return row


def test_the_original_registry_is_named_and_its_rows_are_adopted(environment: dict[str, str]) -> None:
    texts = [(FIXTURES / "original" / f"{name}.sql").read_bytes() for name in ("schema", "rows")]
    with new_database(environment["DATABASE_URL"]) as url:
        with psycopg.connect(url) as connection:
            for text in texts:
                connection.execute(text)
        own, elsewhere = ({"DATABASE_URL": url, "MODEL_REGISTRY_SCHEMA": name} for name in ("pmoves_core", "elsewhere"))
        refused = run("db", "migrate", environment=own)
        assert (refused.returncode, "model-registry db adopt" in refused.stderr) == (3, True)
        assert "adopt --from pmoves_core" in run("db", "migrate", environment=elsewhere).stdout
        assert "Nothing was written." in run("db", "adopt", "--dry-run", environment=own).stdout

        adopted = run("db", "adopt", environment=own)

        assert adopted.returncode == 4  # not everything can come over
        assert "model_providers: 3 new" in adopted.stdout
        assert "NOT brought over (3)" in adopted.stdout
        assert "the original's tables are in the schema pmoves_core_original" in adopted.stdout
        assert "a1B2a1B2" not in adopted.stdout + adopted.stderr
        assert run("db", "migrate", environment=own).stdout == "the schema is up to date\n"
        seeded = run("db", "adopt", "--file", str(FIXTURES / "original" / "seed.sql"), environment=own)
        assert (seeded.returncode, "line 32" in seeded.stdout) == (4, True)


def test_public_reads_are_kept_until_they_are_ended_and_said_while_they_last(environment: dict[str, str]) -> None:
    assert "public reads" not in run("db", "migrate", environment=environment).stdout

    for options in (["--public-reads"], []):
        told = run("db", "migrate", *options, environment=environment).stdout
        assert "public reads: anyone who reaches PostgREST reads the catalogue" in told
        assert "(roles anon, authenticated)" in told
        assert "model-registry db migrate --no-public-reads" in told
    for options in (["--no-public-reads"], []):
        assert run("db", "migrate", *options, environment=environment).stdout == "the schema is up to date\n"


def test_a_reader_key_is_for_the_role_that_reads_and_ends_when_it_was_told() -> None:
    secret = "x" * 32

    for options in ([], ["--days", "2"]):
        done = run("db", "reader-key", *options, environment={"POSTGREST_JWT_SECRET": secret})
        claims = jwt.decode(done.stdout.strip(), secret, ["HS256"])
        ends = claims.pop("exp", None)
        assert claims == {"role": "registry_reader", "iss": "model-registry"}
        assert (ends is not None) == bool(options)
    short = run("db", "reader-key", environment={"POSTGREST_JWT_SECRET": "x" * 31})
    assert short.returncode == 3
    assert "shorter than 32 bytes" in short.stderr
    assert short.stdout == ""
    refused = run("db", "reader-key")
    assert (refused.returncode, "POSTGREST_JWT_SECRET is not set" in refused.stderr) == (3, True)


def test_without_a_database_url_it_says_where_to_get_one() -> None:
    done = run("db", "migrate")
    assert done.returncode == 3
    assert "DATABASE_URL is not set" in done.stderr
    assert "stack.env" in done.stderr


def test_a_database_that_is_away_is_one_message_without_the_password() -> None:
    done = run("db", "migrate", environment={"DATABASE_URL": "postgresql://me:hunter2@127.0.0.1:9/x"})
    assert done.returncode == 3
    assert done.stderr.startswith("error: Postgres cannot be reached")
    assert "hunter2" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_that_is_no_schema_is_refused(environment: dict[str, str]) -> None:
    done = run("db", "migrate", environment={**environment, "MODEL_REGISTRY_SCHEMA": 'x"; drop schema public; --'})
    assert done.returncode == 3
    assert "cannot be a schema's name" in done.stderr
