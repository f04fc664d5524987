"""Invalid input over HTTP: every invalid field is named, nothing is written, nothing fails."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import httpx
import pytest

from model_registry.api.guarded_route import ROW_BYTES
from support.catalogue import add, add_mapping, add_model, add_provider, get, places, problem
from support.replica import Replica

JSON = {"content-type": "application/json"}


@pytest.fixture
async def client(replica: Replica) -> httpx.AsyncClient:
    """A registry that holds a provider, a model, a function and a mapping."""
    await add_provider(replica.client)
    await add_model(replica.client, "m")
    await add_mapping(replica.client, "s/f/v", "m")
    return replica.client


async def send(client: httpx.AsyncClient, method: str, path: str, body: str) -> httpx.Response:
    """Send JSON text as it is: the client's own encoder refuses what the tests are about."""
    return await client.request(method, path, content=body.encode(), headers=JSON)


def fields(problem_document: dict[str, Any]) -> set[str]:
    """The top-level fields that a problem's reasons name."""
    return {place.partition(".")[0] for place in places(problem_document)}


async def test_every_bad_field_of_a_model_is_named(client: httpx.AsyncClient) -> None:
    body = {
        "provider": "ollama_local",
        "name": "tensorzero::m",
        "model_id": "",
        "model_type": "poem",
        "capabilities": "chat",
        "vram_mb": -1,
        "context_length": 2**31,
        "routing_priority": "first",
        "tensorzero": [],
        "metadata": "none",
        "active": "perhaps",
        "description": 5,
    }

    found = problem(await client.post("/api/models", json=body), 422, "E4003")

    assert places(found) == set(body) - {"provider"}
    assert all(place in found["detail"] for place in places(found))


GOOD: dict[str, dict[str, Any]] = {
    "providers": {"name": "p", "type": "vllm", "api_base": "http://gpu:8000/v1"},
    "models": {"name": "x", "model_id": "x", "provider": "ollama_local"},
    "aliases": {"alias": "a", "model": "m", "context": "agents"},
    "functions": {"service_name": "s", "function_name": "g"},
    "mappings": {"service_name": "s", "function_name": "f", "variant_name": "w", "model": "m"},
}
BAD = (
    ("providers", "name", "n" * 201),
    ("providers", "name", "tensorzero::p"),
    ("providers", "name", "line\nbreak"),
    ("providers", "type", "OpenAI"),
    ("providers", "api_base", "localhost:8000"),
    ("providers", "api_base", "ws://host/v1"),
    ("providers", "api_base", "http://user:password@host/v1"),
    ("providers", "api_base", "http://a b/v1"),
    ("providers", "api_base", "None"),
    ("providers", "api_base", ""),
    ("models", "name", "n" * 301),
    ("models", "model_id", "\x7f"),
    ("models", "capabilities", [""]),
    ("models", "capabilities", [1]),
    ("models", "vram_mb", 1.5),
    ("aliases", "alias", "tensorzero::model_name::m"),
    ("aliases", "context", ""),
    ("functions", "type", "tool"),
    ("functions", "name", "n" * 402),
    ("functions", "name", "bell\x07"),
    ("functions", "service_name", ""),
    ("mappings", "weight", -0.1),
    ("mappings", "weight", "heavy"),
    ("mappings", "priority", 2**31),
    ("mappings", "priority", 0.5),
    ("mappings", "variant_name", "tensorzero::v"),
)


async def test_a_value_that_cannot_be_is_refused_when_made_replaced_and_changed(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    made = {path: await add(client, path, **body) for path, body in GOOD.items()}
    for path, field, value in BAD:
        address, body = f"/api/{path}/{made[path]['id']}", {**GOOD[path], field: value}
        for method, where, sent in (
            ("POST", f"/api/{path}", body),
            ("PUT", address, body),
            ("PATCH", address, {field: value}),
        ):
            with subtests.test(path=path, field=field, value=str(value)[:20], method=method):
                answer = await client.request(method, where, json=sent)
                assert fields(problem(answer, 422, "E4003" if path == "models" else "E4005")) == {field}
    for path, row in made.items():
        assert await get(client, f"/api/{path}/{row['id']}") == row


SECRETS = (
    "sk-proj-abcdefghijklmnop1234",
    "sk_live_abcdefghijklmnop1234",
    "AIzaSyA1234567890abcdefghijklmnop",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "hf_abcdefghijklmnopqrstuvwx",
    "gsk_abcdefghijklmnopqrstuvwx",
    "0123456789abcdef0123456789abcdef",
    "dGhpc0lzQVNlY3JldDEyMw",
    "Bearer abc",
    "OPENAI-API-KEY",
)


async def test_a_key_in_place_of_its_variables_name_is_refused_and_not_repeated(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for secret in SECRETS:
        with subtests.test(secret=secret):
            answer = await client.post(
                "/api/providers", json={"name": "p", "type": "openai", "api_key_env_var": secret}
            )
            assert places(problem(answer, 422, "E4005")) == {"api_key_env_var"}
            assert secret not in answer.text


async def test_the_name_of_a_variable_is_taken(client: httpx.AsyncClient) -> None:
    for name in ("OPENAI_API_KEY", "_x", "Z_AI_KEY_2", "AZURE_OPENAI_API_KEY_EU_WEST_4_PRODUCTION"):
        answer = await client.patch("/api/providers/ollama_local", json={"api_key_env_var": name})
        assert answer.json()["api_key_env_var"] == name


UNKEPT = {
    "nan": "NaN",
    "infinity": "-Infinity",
    "overflowing": "1e999",
    "beyond 64 bits": str(2**63),
    "nul": r'"a\u0000b"',
    "half a surrogate": r'"\ud800"',
    "a key with nul": r'{"a\u0000b": 1}',
    "a key of half a surrogate": r'{"\udfff": 1}',
    "deep": "[" * 40 + "]" * 40,
}
KEPT = (
    "9007199254740993",
    "-9223372036854775808",
    "0.1",
    "1e15",
    "1e16",
    "1e300",
    "1e-300",
    "true",
    "null",
    r'"\ud83d\ude00"',
    "[[]]",
)


async def test_json_that_cannot_be_kept_is_refused(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for path, code in {"providers/ollama_local": "E4005", "models/m": "E4003", "mappings/s/f/v": "E4005"}.items():
        before = await get(client, f"/api/{path}")
        for column, (name, value) in product(("metadata", "tensorzero"), UNKEPT.items()):
            for body in (f'{{"{column}": {{"x": {value}}}}}', f'{{"{column}": {{"x": [{{"y": {value}}}]}}}}'):
                with subtests.test(path=path, column=column, value=name):
                    answer = await send(client, "PATCH", f"/api/{path}", body)
                    assert places(problem(answer, 422, code)) == {column}
        assert await get(client, f"/api/{path}") == before


async def test_json_that_can_be_kept_comes_back_as_it_was(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for value in KEPT:
        with subtests.test(value=value):
            answer = await send(client, "PATCH", "/api/providers/ollama_local", f'{{"metadata": {{"x": {value}}}}}')
            assert answer.status_code == 200, answer.text
            assert answer.json()["metadata"] == {"x": json.loads(value)}
            assert await get(client, "/api/providers/ollama_local") == answer.json()


STRANGE = ("NaN", "Infinity", "1e999", r'"\ud800"', r'"a\u0000"', "1" + "0" * 400)
FIELDS = {
    "providers/ollama_local": ("name",),
    "models/m": ("vram_mb", "description", "capabilities", "name"),
    "functions/s_f": ("name", "service_name"),
    "mappings/s/f/v": ("weight", "model_id", "variant_name"),
}


async def test_strange_values_are_refused_in_every_field(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for path, named in FIELDS.items():
        for field, value in product(named, STRANGE):
            with subtests.test(path=path, field=field, value=value[:20]):
                content = f"[{value}]" if field == "capabilities" else value
                answer = await send(client, "PATCH", f"/api/{path}", f'{{"{field}": {content}}}')
                assert answer.status_code == 422, answer.text
                assert fields(answer.json()) == {field}


MALFORMED = {
    "cut off": b"{",
    "no value": b'{"name": }',
    "no text": b"\xff\xfe",
    "no utf-8": b'{"name": "\xff"}',
    "deep": b"[" * 100_000,
    "a long number": b'{"vram_mb": ' + b"9" * 5000 + b"}",
}


async def test_malformed_json_is_the_callers_fault(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for name, body in MALFORMED.items():
        for method, path in (("POST", "/api/models"), ("PATCH", "/api/models/m"), ("POST", "/api/deployments")):
            with subtests.test(body=name, method=method, path=path):
                answer = await client.request(method, path, content=body, headers=JSON)
                problem(answer, 422, "E4008" if "deployments" in path else "E4003")


async def test_a_body_that_is_not_json_by_its_header_is_refused(client: httpx.AsyncClient) -> None:
    for sent in ({"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"}, {}):
        answer = await client.post("/api/providers", content=b'{"name": "p", "type": "openai"}', headers=sent)
        if sent or answer.status_code != 201:
            assert "Content-Type: application/json" in problem(answer, 422, "E4005")["detail"]


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(client: httpx.AsyncClient) -> None:
    read = False

    async def large() -> AsyncIterator[bytes]:
        nonlocal read
        read = True
        yield b"[" * 2**20

    headers = {**JSON, "content-length": str(ROW_BYTES + 1)}

    problem(await client.post("/api/models", content=large(), headers=headers), 413, "E4130")
    assert not read


async def test_a_body_that_grows_too_large_is_refused_while_it_is_read(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 2**20
            yield b" " * 2**20

    problem(await client.post("/api/models", content=endless(), headers=JSON), 413, "E4130")
    assert ROW_BYTES < sent <= ROW_BYTES + 2**20


QUERIES = (
    "models?limit=0",
    "models?limit=-1",
    "models?limit=many",
    "models?offset=-1",
    "models?active=perhaps",
    "models?offset=99999999999999999999",
    "providers?type=nothing",
    "changes?after=-1",
    "changes?limit=0",
    "changes?limit=1001",
    "changes?after=99999999999999999999999",
)


async def test_query_values_that_mean_nothing_are_refused(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for query in QUERIES:
        with subtests.test(query=query):
            answer = await client.get(f"/api/{query}")
            assert answer.status_code == 422, answer.text
            assert places(answer.json()) == {query.partition("?")[2].partition("=")[0]}


async def test_a_problem_has_the_class_that_its_route_names(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    """With any name for the row: the class does not depend on the path."""
    for method, path, code in [
        ("PUT", "/api/providers/deployments-eu", "E4005"),
        ("PATCH", "/api/functions/deployments/f", "E4005"),
        ("PUT", "/api/nodes/deployments", "E4005"),
        ("PUT", "/api/tensorzero/sections/deployments", "E4005"),
        ("POST", "/api/models/select", "E4005"),
        ("POST", "/api/models", "E4003"),
        ("PUT", "/api/models/deployments", "E4003"),
        ("PATCH", "/api/models/m", "E4003"),
        ("POST", "/api/models/import", "E4003"),
        ("POST", "/api/deployments", "E4008"),
        ("POST", "/api/deployments/register", "E4008"),
        ("PUT", "/api/deployments/n/p/m/status", "E4008"),
    ]:
        for body in ("[]", "{"):
            with subtests.test(method=method, path=path, body=body):
                problem(await send(client, method, path, body), 422, code)
