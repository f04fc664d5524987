"""`model-registry keys`: a new key works within its scope until it is revoked."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from support.processes import Service, client_of, run, wait_until


@pytest.fixture
def environment(stack: Any) -> dict[str, str]:
    """The settings of the command, as in `stack.env`."""
    return {key: value for key, value in stack.environment().items() if key.startswith("POSTGREST")}


def created(environment: dict[str, str], name: str, *scopes: str) -> str:
    done = run("keys", "create", name, *(f"--scope={scope}" for scope in scopes), environment=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.removesuffix("\n")


def test_a_new_key_is_all_that_is_printed_and_works_within_a_second(
    service: Service, environment: dict[str, str], database: psycopg.Connection
) -> None:
    key = created(environment, "rack 7", "node")
    assert key.startswith("mreg_")
    assert len(key.split()) == 1
    report = {"node_id": "rack-7", "provider_type": "ollama", "model_id": "qwen3:8b"}
    with client_of(service.url, key) as node:
        wait_until(lambda: node.post("/api/deployments", json=report).status_code == 201)
        refused = node.post("/api/providers", json={"name": "p", "type": "openai"})
        assert (refused.status_code, refused.json()["code"]) == (403, "E4030")
    with client_of(service.url, None) as stranger:
        assert stranger.post("/api/deployments", json=report).status_code == 401
    stored = str(database.execute("select to_jsonb(k) from api_keys k").fetchall())
    assert key not in stored
    actors = database.execute("select distinct actor from registry_changes where table_name = 'model_deployments'")
    assert actors.fetchall() == [("rack 7",)]


def test_keys_are_listed_and_a_revoked_one_opens_nothing(service: Service, environment: dict[str, str]) -> None:
    key = created(environment, "intern", "admin", "read")
    provider = {"name": "p", "type": "openai"}
    with client_of(service.url, key) as intern:
        wait_until(lambda: intern.post("/api/providers", json=provider).status_code != 401)
        listed = run("keys", "list", environment=environment).stdout
        assert "intern" in listed
        assert "admin, read" in listed
        assert key not in listed

        assert run("keys", "revoke", "intern", environment=environment).returncode == 0
        wait_until(lambda: intern.delete("/api/providers/p").status_code == 401)


@pytest.mark.usefixtures("database_url")
def test_what_cannot_be_done_is_said_in_one_message(environment: dict[str, str]) -> None:
    created(environment, "twice", "read")
    again = run("keys", "create", "twice", "--scope", "read", environment=environment)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == "error: A key with this name already exists.\n"

    unknown = run("keys", "revoke", "nobody", environment=environment)
    assert unknown.returncode == 1
    assert "no key 'nobody'" in unknown.stderr

    wrong = run("keys", "create", "x", "--scope", "king", environment=environment)
    assert wrong.returncode == 2
    assert "admin, node, read" in wrong.stderr

    away = run("keys", "list", environment={**environment, "POSTGREST_URL": "http://127.0.0.1:9"})
    assert away.returncode == 3
    assert away.stderr.startswith("error: The database is unavailable")
