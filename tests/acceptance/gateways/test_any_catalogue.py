"""Every catalogue that the API accepts, row by row, becomes an equivalent configuration that the gateway loads."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.entities.provider_types import PROVIDER_TYPES, ProviderType
from model_registry.gateways.tensorzero.rendering.render import configuration_tree
from model_registry.gateways.tensorzero.validation.gateway_process import GatewayProcess
from model_registry.snapshot.snapshot import Snapshot
from support.database import empty
from support.drawn import JSON, NAMES, PROVIDER_EXTRAS
from support.processes import Service

SCHEMA = "model_registry"

Row = dict[str, Any]

WILD = st.text(max_size=12) | st.text(min_size=1, max_size=400)
"""Control characters, unpaired surrogates, long texts: most are refused, and none may do harm."""


def mostly(good: st.SearchStrategy[Any], other: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly valid values: a catalogue that is refused proves little."""
    return st.integers(0, 15).flatmap(lambda number: other if number == 7 else good)


ANY_NAME = mostly(NAMES, WILD)
EXTRAS = mostly(st.just({}), PROVIDER_EXTRAS | st.dictionaries(NAMES, JSON, max_size=2))
MODEL_EXTRAS = st.fixed_dictionaries({}, optional={"provider_key": NAMES, "provider": PROVIDER_EXTRAS, "model": EXTRAS})
REFERENCE = st.integers(0, 1000)
"""The index of an existing row; see `written`."""

URL = st.sampled_from(["http://h.example:1/v1", "https://h.example/ü/v1/", "HTTP://H"])
VARIABLE = st.sampled_from([None, "SOME_KEY", "_k1"])


def _fitting(kind: ProviderType) -> st.SearchStrategy[Row]:
    """A provider with everything that its type requires, and nothing that its type does not accept."""
    needed = {"location": "europe-west4", "project_id": "p", "region": "us-east-1", "hosted_provider": "tgi"}
    base = URL if kind.base_required else st.none() | URL if kind.base_key else st.none()
    return st.fixed_dictionaries(
        {
            "name": NAMES,
            "type": st.just(kind.name),
            "api_base": base,
            "api_key_env_var": VARIABLE if kind.credential else st.none(),
            "tensorzero": st.just({key: needed[key] for key in kind.required_keys}),
        }
    )


PROVIDER = mostly(
    st.sampled_from(list(PROVIDER_TYPES.values())).flatmap(_fitting),
    st.fixed_dictionaries(
        {
            "name": ANY_NAME,
            "type": st.sampled_from(list(PROVIDER_TYPES)),
            "api_base": st.none() | URL | WILD,
            "api_key_env_var": VARIABLE | WILD,
            "tensorzero": EXTRAS,
            "active": st.sampled_from([True, True, True, False]),
        }
    ),
)
MODEL = st.fixed_dictionaries(
    {
        "name": ANY_NAME,
        "model_id": ANY_NAME,
        "provider": REFERENCE,
        "model_type": st.sampled_from(["chat", "chat", "chat", "vl", "embedding", "embedding", "tts", "image"]),
        "routing_priority": st.integers(-2, 2),
        "tensorzero": mostly(st.just({}), MODEL_EXTRAS),
    }
)
ALIAS = st.fixed_dictionaries(
    {"alias": ANY_NAME, "context": st.sampled_from([None, "default", "tensorzero", "x"]), "model": REFERENCE}
)
FUNCTION = st.fixed_dictionaries(
    {
        "service_name": ANY_NAME,
        "function_name": ANY_NAME,
        "name": st.none() | ANY_NAME,
        "type": st.sampled_from(["chat", "json"]),
        "description": mostly(st.none(), WILD),
    }
)
MAPPING = st.fixed_dictionaries(
    {
        "service_name": mostly(st.sampled_from(["a", "tensorzero"]), ANY_NAME),
        "function_name": mostly(st.sampled_from(["f", "g"]), ANY_NAME),
        "variant_name": ANY_NAME,
        "model": REFERENCE,
        "fallback_model_id": st.none() | REFERENCE,
        "priority": st.integers(0, 2),
        "weight": mostly(st.sampled_from([0.0, 1.0, 0.1]), st.floats()),
        "tensorzero": mostly(st.sampled_from([{}, {}, {"temperature": 0.5}, {"json_mode": "on"}]), EXTRAS),
    }
)
ROWS = {"providers": PROVIDER, "models": MODEL, "aliases": ALIAS, "functions": FUNCTION, "mappings": MAPPING}
KINDS = ["providers"] * 2 + ["models"] * 3 + ["aliases", "functions"] + ["mappings"] * 2
REFUSED = {
    "providers": {"name": "refused", "type": "no such type"},
    "models": {"name": "\0", "model_id": "x", "provider": 0},
    "aliases": {"alias": "\0", "model": 0},
    "functions": {"service_name": "\0", "function_name": "f"},
    "mappings": {"service_name": "\0", "function_name": "f", "variant_name": "v", "model": 0},
}
"""The writes contain each kind at least once, so that chance does not decide whether a kind is tried."""


def _one_of(plural: str) -> st.SearchStrategy[tuple[str, Row]]:
    return st.tuples(st.just(plural), ROWS[plural])


WRITES = st.builds(
    lambda first, more: [*first, *REFUSED.items(), *more],
    st.tuples(*(_one_of(plural) for plural in ROWS)),
    st.lists(st.sampled_from(KINDS).flatmap(_one_of), min_size=5, max_size=25),
)


@pytest.fixture(scope="module")
def gateway_process() -> Iterator[GatewayProcess]:
    with GatewayProcess() as gateway_process:
        yield gateway_process


def begin(service: Service, database_url: str) -> dict[str, list[str]]:
    """A registry with a few rows to refer to. Returns their ids by kind."""
    empty(database_url, SCHEMA)
    assert service.client.get("/api/providers", headers={"Cache-Control": "no-cache"}).json()["count"] == 0
    local = {"name": "local", "type": "ollama", "api_base": "http://localhost:11434/v1"}
    ids = {"providers": [service.post("/api/providers", local)["id"]]}
    first = service.post("/api/models", {"name": "first", "model_id": "first", "provider": "local"})
    return ids | {"models": [first["id"]], "aliases": [], "functions": [], "mappings": []}


def written(service: Service, plural: str, row: Row, ids: dict[str, list[str]]) -> int:
    """Add a row, or be refused; any other response fails. Uses Python's JSON, so that invalid JSON is sent too."""
    body = dict(row)
    for field, target in (("provider", "providers"), ("model", "models"), ("fallback_model_id", "models")):
        if isinstance(body.get(field), int):
            body[field] = ids[target][body[field] % len(ids[target])]
    answer = service.client.post(
        f"/api/{plural}", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (201, 409, 422), (answer.status_code, answer.text, body)
    if answer.status_code == 201:
        ids[plural].append(answer.json()["id"])
    return answer.status_code


def stored(database_url: str) -> Snapshot:
    """The contents of the database, read without the service."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(f"select {SCHEMA}.registry_snapshot()").fetchone()
    assert row is not None
    return Snapshot.from_document(row[0])


@pytest.mark.property
def test_what_is_accepted_is_rendered_as_it_is_and_loads(
    service: Service, database_url: str, gateway_process: GatewayProcess
) -> None:
    outcomes = Counter[tuple[str, int]]()

    @given(writes=WRITES)
    def draw(writes: list[tuple[str, Row]]) -> None:
        ids = begin(service, database_url)
        outcomes.update((plural, written(service, plural, row, ids)) for plural, row in writes)
        text = service.config()
        assert tomllib.loads(text) == configuration_tree(stored(database_url))
        answer = gateway_process.validate(text)
        assert answer.accepted, (answer.message, text)

    draw()
    # Of every kind some are accepted and some refused: otherwise this would prove little.
    assert set(outcomes) >= {(plural, status) for plural in ROWS for status in (201, 422)}, outcomes
