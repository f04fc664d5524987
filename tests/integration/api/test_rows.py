"""What all resources have in common over HTTP: rows are created, read, replaced, changed, deleted, and refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from support.catalogue import add, add_mapping, add_model, add_provider, get, places, problem
from support.replica import Replica


@dataclass(frozen=True)
class Noun:
    """A resource, a body that creates one of its rows, and what the tests do to that row."""

    plural: str
    body: dict[str, Any]
    reference: str
    """The row's name, as a path may have it."""
    change: dict[str, Any]
    unset: str
    """An optional field of the body: a replacement without it sets it back."""
    default: Any
    needed: set[str]


NOUNS = [
    Noun(
        "categories",
        {"key": "c", "name": "Category", "icon": "x"},
        "c",
        {"description": "d"},
        "icon",
        None,
        {"key", "name"},
    ),
    Noun(
        "providers",
        {"name": "p", "type": "vllm", "api_base": "http://gpu:8000/v1", "metadata": {"rack": 7}},
        "p",
        {"api_base": "http://gpu:9000/v1"},
        "metadata",
        {},
        {"name", "type"},
    ),
    Noun(
        "models",
        {"name": "m", "model_id": "qwen3:8b", "provider": "ollama_local", "vram_mb": 6144},
        "m",
        {"display_name": "M"},
        "vram_mb",
        None,
        {"name", "model_id"},
    ),
    Noun(
        "aliases",
        {"alias": "a", "model": "taken", "context": "agents"},
        "a",
        {"alias": "b"},
        "context",
        None,
        {"alias"},
    ),
    Noun(
        "model-services",
        {"model_type": "LSTM", "strategy": "least_loaded", "timeouts": {"training": 7200}},
        "lstm",
        {"description": "d"},
        "strategy",
        None,
        {"model_type"},
    ),
    Noun(
        "functions",
        {"service_name": "s", "function_name": "f", "type": "json", "description": "d"},
        "s_f",
        {"type": "chat"},
        "description",
        None,
        {"service_name", "function_name"},
    ),
    Noun(
        "mappings",
        {"service_name": "s", "function_name": "f", "variant_name": "v", "model": "taken", "priority": 3},
        "s/f/v",
        {"weight": 0.125},
        "priority",
        1,
        {"service_name", "function_name", "variant_name"},
    ),
]

every_noun = pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.plural)


@pytest.fixture
async def client(replica: Replica) -> httpx.AsyncClient:
    """A registry that holds one provider and one model."""
    await add_provider(replica.client)
    await add_model(replica.client, "taken")
    return replica.client


def said(noun: Noun, row: dict[str, Any]) -> dict[str, Any]:
    """The fields of a row that repeat the body unchanged: `model` and `provider` are references."""
    return {name: row[name] for name in noun.body if name not in ("model", "provider")}


@every_noun
async def test_a_new_row_is_answered_with_its_address_and_its_tag(client: httpx.AsyncClient, noun: Noun) -> None:
    made = await client.post(f"/api/{noun.plural}", json=noun.body)
    read = await client.get(made.headers["location"])

    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"/api/{noun.plural}/{made.json()['id']}"
    assert (read.status_code, read.json(), read.headers["etag"]) == (200, made.json(), made.headers["etag"])
    assert said(noun, read.json()).items() <= noun.body.items()
    assert (await client.get(f"/api/{noun.plural}/{noun.reference}")).json() == made.json()


@every_noun
async def test_a_second_row_with_the_same_key_is_refused_and_the_first_stays(
    client: httpx.AsyncClient, noun: Noun
) -> None:
    made = await add(client, noun.plural, **noun.body)

    refused = await client.post(f"/api/{noun.plural}", json=noun.body)

    advised = re.search(r"PATCH (/api/\S+)\.$", problem(refused, 409, "E4002")["detail"])
    assert advised
    assert await get(client, advised[1]) == made
    assert await get(client, f"/api/{noun.plural}/{made['id']}") == made


@every_noun
async def test_a_row_cannot_take_the_key_of_another(client: httpx.AsyncClient, noun: Noun) -> None:
    made = await add(client, noun.plural, **noun.body)
    key = {
        "categories": "key",
        "models": "name",
        "aliases": "alias",
        "mappings": "variant_name",
        "functions": "function_name",
        "model-services": "model_type",
    }
    name = key.get(noun.plural, "name")
    other = await add(client, noun.plural, **{**noun.body, name: "another"})
    address = f"/api/{noun.plural}/{other['id']}"

    problem(await client.patch(address, json={name: noun.body[name]}), 409, "E4002")
    problem(await client.put(address, json=noun.body), 409, "E4002")

    assert await get(client, address) == other
    assert await get(client, f"/api/{noun.plural}/{made['id']}") == made


@every_noun
async def test_patch_changes_what_it_names_and_nothing_else(client: httpx.AsyncClient, noun: Noun) -> None:
    made = await add(client, noun.plural, **noun.body)

    changed = await client.patch(f"/api/{noun.plural}/{noun.reference}", json=noun.change)

    assert changed.status_code == 200, changed.text
    moved = {"updated_at": changed.json()["updated_at"], "version": made["version"] + 1}
    assert changed.json() == {**made, **noun.change, **moved}
    assert changed.json()["updated_at"] > made["updated_at"]
    assert await get(client, f"/api/{noun.plural}/{made['id']}") == changed.json()


@every_noun
async def test_put_replaces_the_whole_row(client: httpx.AsyncClient, noun: Noun) -> None:
    made = await add(client, noun.plural, **noun.body)
    rest = {name: value for name, value in noun.body.items() if name != noun.unset}

    replaced = await client.put(f"/api/{noun.plural}/{made['id']}", json={**rest, **noun.change})

    assert replaced.status_code == 200, replaced.text
    assert replaced.json()["id"] == made["id"]
    assert replaced.json()[noun.unset] == noun.default != made[noun.unset]
    assert noun.change.items() <= replaced.json().items()


@every_noun
async def test_a_write_that_changes_nothing_makes_no_revision(client: httpx.AsyncClient, noun: Noun) -> None:
    made = await add(client, noun.plural, **noun.body)
    before = (await client.get("/healthz")).headers["x-registry-revision"]

    again = await client.put(f"/api/{noun.plural}/{made['id']}", json=noun.body)
    nothing = await client.patch(f"/api/{noun.plural}/{made['id']}", json={})

    assert (again.json(), nothing.json()) == (made, made)
    assert again.headers["x-registry-revision"] == nothing.headers["x-registry-revision"] == before


@every_noun
async def test_a_deleted_row_is_gone_and_can_be_made_anew(client: httpx.AsyncClient, noun: Noun) -> None:
    made = await add(client, noun.plural, **noun.body)
    address = f"/api/{noun.plural}/{made['id']}"

    deleted = await client.delete(address)

    assert (deleted.status_code, deleted.content) == (204, b"")
    code = "E4001" if noun.plural == "models" else "E4004"
    problem(await client.get(address), 404, code)
    problem(await client.delete(address), 404, code)
    problem(await client.patch(address, json=noun.change), 404, code)
    problem(await client.put(address, json=noun.body), 404, code)
    assert (await add(client, noun.plural, **noun.body))["id"] != made["id"]


@every_noun
async def test_every_missing_field_is_named(client: httpx.AsyncClient, noun: Noun) -> None:
    code = "E4003" if noun.plural == "models" else "E4005"

    found = problem(await client.post(f"/api/{noun.plural}", json={}), 422, code)

    assert places(found) == noun.needed


@every_noun
async def test_fields_of_our_own_answers_are_taken_and_change_nothing(client: httpx.AsyncClient, noun: Noun) -> None:
    older = {"id": "00000000-0000-0000-0000-000000000000", "version": 99, "created_at": "never", "updated_at": "soon"}

    made = await add(client, noun.plural, **noun.body, **older)
    changed = await client.patch(f"/api/{noun.plural}/{made['id']}", json=older)
    again = await client.put(f"/api/{noun.plural}/{made['id']}", json=made)

    assert made["id"] != older["id"]
    assert changed.json() == again.json() == made


@every_noun
async def test_an_answer_can_be_sent_to_make_another_row(client: httpx.AsyncClient, noun: Noun) -> None:
    made = await add(client, noun.plural, **noun.body)
    assert (await client.delete(f"/api/{noun.plural}/{made['id']}")).status_code == 204

    again = await add(client, noun.plural, **made)

    assert said(noun, again) == said(noun, made)


@every_noun
async def test_a_field_that_nobody_knows_is_refused_with_the_nearest(client: httpx.AsyncClient, noun: Noun) -> None:
    made = await add(client, noun.plural, **noun.body)
    field = next(iter(noun.change))
    misspelt = f"{field[:-1]}x"
    code = "E4003" if noun.plural == "models" else "E4005"

    for method, path, body in (
        ("POST", "", {**noun.body, misspelt: 1}),
        ("PUT", f"/{made['id']}", {**noun.body, misspelt: 1}),
        ("PATCH", f"/{made['id']}", {misspelt: 1}),
    ):
        found = problem(await client.request(method, f"/api/{noun.plural}{path}", json=body), 422, code)
        assert found["reasons"] == [
            {"where": misspelt, "message": f"is not a known field; did you mean {field!r}?"},
        ]
    assert await get(client, f"/api/{noun.plural}/{made['id']}") == made


@every_noun
async def test_a_body_that_is_no_object_is_refused(client: httpx.AsyncClient, noun: Noun) -> None:
    made = await add(client, noun.plural, **noun.body)
    code = "E4003" if noun.plural == "models" else "E4005"

    for method, path in (("POST", ""), ("PUT", f"/{made['id']}"), ("PATCH", f"/{made['id']}")):
        for body in (b"[]", b"null", b'"text"', b"{", b""):
            answer = await client.request(
                method, f"/api/{noun.plural}{path}", content=body, headers={"content-type": "application/json"}
            )
            problem(answer, 422, code)
    assert await get(client, f"/api/{noun.plural}/{made['id']}") == made


@every_noun
async def test_nothing_is_written_without_a_key(replica: Replica, client: httpx.AsyncClient, noun: Noun) -> None:
    made = await add(client, noun.plural, **noun.body)
    address = f"/api/{noun.plural}/{made['id']}"

    async with replica.anonymous() as anonymous:
        for method, path in (
            ("POST", f"/api/{noun.plural}"),
            ("PUT", address),
            ("PATCH", address),
            ("DELETE", address),
        ):
            answer = await anonymous.request(method, path, json=noun.body)
            problem(answer, 401, "E4010")
            assert answer.headers["www-authenticate"] == "Bearer"

    assert await get(client, address) == made


async def test_what_others_refer_to_is_not_deleted_and_they_are_named(client: httpx.AsyncClient) -> None:
    await add_model(client, "spare")
    await add(client, "aliases", alias="fast", model="taken")
    await add_mapping(client, "s/f/v", "taken", fallback_model_id="spare")

    for path, referrers in {
        "providers/ollama_local": ["the model spare", "the model taken"],
        "models/taken": ["the alias fast", "the mapping s/f/v"],
        "models/spare": ["the mapping s/f/v"],
        "functions/s_f": ["the mapping s/f/v"],
    }.items():
        found = problem(await client.delete(f"/api/{path}"), 409, "E4092")
        assert sorted(found["referrers"]) == referrers
        assert all(referrer in found["detail"] for referrer in referrers)
        assert (await client.get(f"/api/{path}")).status_code == 200


async def test_rows_can_be_deleted_once_nobody_refers_to_them(client: httpx.AsyncClient) -> None:
    await add(client, "aliases", alias="fast", model="taken")
    await add_mapping(client, "s/f/v", "taken")

    for path in ("aliases/fast", "mappings/s/f/v", "functions/s_f", "models/taken", "providers/ollama_local"):
        answer = await client.delete(f"/api/{path}")
        assert answer.status_code == 204, answer.text
