"""Secrets in writes: refused on every path with the field and the remedy, and never repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest

from model_registry.entities.change import Operation
from model_registry.errors import SecretInText
from model_registry.settings import Settings
from model_registry.store.client import connect
from model_registry.store.registry import Registry
from support.catalogue import add_mapping, add_model, add_provider, get, places, problem
from support.replica import Replica
from support.secret_examples import HEX_KEY, SHAPED

OPENAI = SHAPED["openai project"]
TOML = 'api_key_location = "{}"\n'
PROJECT = """
[models.m]
routing = ["p"]
[models.m.providers.p]
type = "openai"
model_name = "gpt-4o"
{}
"""


@pytest.fixture
async def client(replica: Replica) -> AsyncIterator[httpx.AsyncClient]:
    await add_provider(replica.client)
    await add_model(replica.client, "m", metadata={"note": "first"})
    await add_mapping(replica.client, "s/f/v", "m")
    before = replica.state.registry.snapshot
    yield replica.client
    after = replica.state.registry.snapshot
    assert OPENAI not in str(before.document())
    assert OPENAI not in str(after.document())


WRITES: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("PATCH", "providers/ollama_local", {"api_base": f"http://h/v1?k={OPENAI}"}, "api_base"),
    ("PATCH", "providers/ollama_local", {"api_base": f"http://h/v1?api-key={HEX_KEY}"}, "api_base"),
    ("PATCH", "providers/ollama_local", {"api_base": f"http://h/{OPENAI}/v1"}, "api_base"),
    ("PATCH", "providers/ollama_local", {"metadata": {"a": [{"password": "hunter22"}]}}, "metadata.a.0.password"),
    (
        "PATCH",
        "providers/ollama_local",
        {"tensorzero": {"extra_headers": [{"name": "Authorization", "value": f"Bearer {HEX_KEY}"}]}},
        "tensorzero.extra_headers.0.value",
    ),
    (
        "PATCH",
        "providers/ollama_local",
        {"tensorzero": {"extra_body": [{"pointer": "/api_key", "value": HEX_KEY}]}},
        "tensorzero.extra_body.0.value",
    ),
    (
        "PATCH",
        "providers/ollama_local",
        {"tensorzero": {"api_key_location": f"env::{OPENAI}"}},
        "tensorzero.api_key_location",
    ),
    ("POST", "providers", {"name": OPENAI, "type": "openai"}, "name"),
    (
        "POST",
        "models",
        {"name": "n", "model_id": "n", "provider": "ollama_local", "description": OPENAI},
        "description",
    ),
    ("PATCH", "models/m", {"metadata": {OPENAI: 1}}, "metadata.sk-p…("),
    ("PATCH", "models/m", {"tags": [OPENAI]}, "tags.0"),
    ("POST", "aliases", {"alias": OPENAI, "model": "m"}, "alias"),
    ("PATCH", "functions/s/f", {"description": OPENAI}, "description"),
    ("PATCH", "mappings/s/f/v", {"metadata": {"deep": {"token": OPENAI}}}, "metadata.deep.token"),
    ("POST", "categories", {"key": "k", "name": OPENAI}, "name"),
    ("PUT", "tensorzero/sections/gateway", {"value": {"auth": {"api_key": HEX_KEY}}}, "value.auth.api_key"),
    ("PUT", "tensorzero/files/a.txt", {"content": f"say {OPENAI}"}, "content"),
)


async def test_a_secret_is_refused_in_every_field_and_not_repeated(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for method, path, body, where in WRITES:
        with subtests.test(method=method, path=path, where=where):
            answer = await client.request(method, f"/api/{path}", json=body)
            found = problem(answer, 422, "E4012")
            assert "env::NAME" in found["detail"]
            [place] = places(found)
            assert place.startswith(where)
            for secret in (OPENAI, HEX_KEY, "hunter22"):
                assert secret not in answer.text
                assert secret[-10:] not in answer.text


async def test_imports_are_refused_too_also_when_they_are_only_tried(client: httpx.AsyncClient) -> None:
    header = f'extra_headers = [{{ name = "x-api-key", value = "{HEX_KEY}" }}]'
    bad = ('api_key_location = "{}"'.format(f"env::{OPENAI}"), header, f'api_key_location = "{OPENAI}"')
    for extra in bad:
        for dry_run in ("true", "false"):
            answer = await client.post(
                "/api/tensorzero/import", params={"dry_run": dry_run}, json={"files": {"t.toml": PROJECT.format(extra)}}
            )
            assert answer.status_code == 422, answer.text
            assert OPENAI not in answer.text
            assert HEX_KEY not in answer.text
    assert len((await get(client, "/api/models"))["items"]) == 1


async def test_an_offer_with_a_secret_is_skipped_and_the_others_come_in(client: httpx.AsyncClient) -> None:
    offers = [
        {"provider": "ollama_local", "model_id": "good"},
        {"provider": "ollama_local", "model_id": "bad", "fields": {"description": f"use {OPENAI}"}},
    ]

    answer = await client.post("/api/models/import", json={"source": "csv", "offers": offers})

    actions = {entry["name"]: entry["action"] for entry in answer.json()["report"]}
    assert actions == {"good": "created", "bad": "skipped"}
    assert OPENAI not in answer.text


async def test_what_only_speaks_of_secrets_is_taken(client: httpx.AsyncClient) -> None:
    schema = {"type": "object", "properties": {"password": {"type": "string"}, "api_key": {"type": "string"}}}
    for body in (
        {"metadata": {"schema": schema, "password": "string", "api_key": "os.environ/KEY"}},
        {"description": "Never ask for a password. Keys look like sk-... or hf_..."},
        {"metadata": {"digest": f"sha256:{HEX_KEY}{HEX_KEY}", "commit": HEX_KEY}},
    ):
        assert (await client.patch("/api/models/m", json=body)).status_code == 200
    taken = await client.patch("/api/providers/ollama_local", json={"tensorzero": {"api_key_location": "env::KEY"}})
    assert taken.status_code == 200


async def test_a_row_that_holds_one_from_before_is_read_and_its_other_fields_changed(
    client: httpx.AsyncClient, replica: Replica, database: psycopg.Connection
) -> None:
    database.execute(
        "update models set metadata = jsonb_build_object('old', %s::text) where name = 'm'", [SHAPED["groq"]]
    )
    await replica.state.registry.refresh()

    row = await get(client, "/api/models/m")
    changed = await client.patch("/api/models/m", json={"description": "new"})
    replaced = await client.put(
        "/api/models/m",
        json={"name": "m", "model_id": "m", "provider": "ollama_local", "metadata": {**row["metadata"], "more": 1}},
    )
    moved = await client.patch("/api/models/m", json={"metadata": {"elsewhere": SHAPED["groq"]}})

    assert (changed.status_code, replaced.status_code) == (200, 200), replaced.text
    assert places(problem(moved, 422, "E4012")) == {"metadata.elsewhere"}
    assert (await client.patch("/api/models/m", json={"metadata": {}})).status_code == 200


async def test_the_name_of_an_api_key_is_looked_at_like_any_other_field(environment: dict[str, Any]) -> None:
    database = await connect(Settings(**environment))
    try:
        registry = Registry(database, origin="a test")
        await registry.refresh()
        row = {"name": SHAPED["registry"], "key_hash": "0" * 64, "scopes": ["read"]}
        with pytest.raises(SecretInText, match="mreg") as refused:
            await registry.write([Operation("api_keys", "insert", "0" * 32, row)], actor="a test")
        assert SHAPED["registry"] not in str(refused.value)
    finally:
        await database.close()
