"""A catalogue of production size, posted row by row, results in a configuration with all of it."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from typing import Any

import pytest

from model_registry.gateways.tensorzero.validation.gateway_process import GatewayProcess
from support.paths import FIXTURES
from support.processes import Service

CATALOG: dict[str, Any] = json.loads((FIXTURES / "catalog.json").read_text())
SECTIONS = {"chat": "models", "vl": "models", "embedding": "embedding_models"}

Row = dict[str, Any]


@pytest.fixture
def filled(service: Service) -> Service:
    for plural in ("providers", "models", "aliases", "mappings"):
        for row in CATALOG[plural]:
            service.post(f"/api/{plural}", row)
    return service


def by_key(rows: list[Row], *keys: str) -> dict[Any, Row]:
    return {tuple(row[key] for key in keys): row for row in rows}


PROVIDERS = {row["name"]: row for row in CATALOG["providers"]}
MODELS = by_key(CATALOG["models"], "provider", "model_id")


def usable(model: Row) -> bool:
    """Whether the gateway can have this model: according to the catalogue itself, not to what the registry renders."""
    provider = PROVIDERS[model["provider"]]
    return bool(
        model["active"] and provider["active"] and provider["type"] != "custom" and model["model_type"] in SECTIONS
    )


def chat_model(mapping: Row) -> Row | None:
    """The model of a mapping, when it is one that a variant can use."""
    model = MODELS[mapping["provider"], mapping["model_id"]]
    return model if usable(model) and SECTIONS[model["model_type"]] == "models" else None


def function_key(mapping: Row) -> str:
    service = mapping["service_name"]
    return str(mapping["function_name"] if service == "tensorzero" else f"{service}_{mapping['function_name']}")


def test_a_production_catalogue_becomes_a_configuration_that_loads(filled: Service) -> None:
    for plural, rows in CATALOG.items():
        assert filled.client.get(f"/api/{plural}").json()["count"] == len(rows)
    with GatewayProcess() as gateway_process:
        answer = gateway_process.validate(filled.config())
    assert (answer.accepted, answer.message, answer.warnings) == (True, None, ())


def test_every_mapping_with_a_chat_model_is_there(filled: Service) -> None:
    functions = tomllib.loads(filled.config())["functions"]
    expected = {
        (function_key(mapping), mapping["variant_name"], model["name"])
        for mapping in CATALOG["mappings"]
        if (model := chat_model(mapping))
    }
    rendered = {
        (function, name, variant["model"])
        for function, table in functions.items()
        for name, variant in table["variants"].items()
    }
    assert rendered == expected
    assert len(expected) > 10


def test_priorities_and_weights_arrive(filled: Service) -> None:
    table = tomllib.loads(filled.config())["functions"]["helpdesk_answer"]["experimentation"]
    assert table == {
        "type": "static",
        "candidate_variants": {"local_gemma": 0.75, "rack_mistral": 0.25},
        "fallback_variants": ["hosted_haiku", "hosted/deepseek:free"],
    }


def test_every_provider_has_its_own_base_url_and_key_variable(filled: Service) -> None:
    tree = tomllib.loads(filled.config())
    seen = Counter[str]()
    for model in filter(usable, CATALOG["models"]):
        table = tree[SECTIONS[model["model_type"]]][model["name"]]["providers"][model["provider"]]
        provider = PROVIDERS[model["provider"]]
        variable = provider["api_key_env_var"]
        assert table.get("api_base") == provider["api_base"]
        assert table["api_key_location"] == (f"env::{variable}" if variable else "none")
        assert table["model_name"] == model["model_id"]
        seen[model["provider"]] += 1
    assert seen.keys() == {name for name, p in PROVIDERS.items() if p["active"] and p["type"] != "custom"}


def test_aliases_for_the_gateway_are_models_of_it_and_others_are_not(filled: Service) -> None:
    tree = tomllib.loads(filled.config())
    for alias in CATALOG["aliases"]:
        model = MODELS[alias["provider"], alias["model_id"]]
        section = tree[SECTIONS[model["model_type"]]]
        if alias["context"] in (None, "default", "tensorzero"):
            assert section[alias["alias"]] == section[model["name"]]
        else:
            assert alias["alias"] not in section


def test_what_is_left_out_is_named_with_the_reason(filled: Service) -> None:
    omitted = filled.client.get("/api/tensorzero/omitted").json()["items"]
    named = {(row["kind"], row["name"]) for row in omitted}
    assert all(row["reason"] for row in omitted)
    for model in CATALOG["models"]:
        assert (("model", model["name"]) in named) == (not usable(model)), model
    for mapping in CATALOG["mappings"]:
        variant = f"{function_key(mapping)}.{mapping['variant_name']}"
        assert (("variant", variant) in named) == (chat_model(mapping) is None), mapping
    # What somebody switched off is listed, and leaves no trace in the text.
    lines = [f'"{row["name"]}": {row["reason"]}' for row in omitted if not row["reason"].endswith("not active")]
    assert lines
    assert all(line in filled.config() for line in lines)
