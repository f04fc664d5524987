"""The starter catalogue is loaded once, is valid, and does not overwrite people's edits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from model_registry.entities.change import Operation
from model_registry.entities.function import FunctionDraft, MappingDraft, default_function_name
from model_registry.entities.model import GATEWAY_CONTEXTS, ROUTED_TYPES, AliasDraft, ModelDraft
from model_registry.entities.model_card import ModelCard
from model_registry.entities.provider import ProviderDraft
from model_registry.selection.model_index import ModelIndex
from model_registry.selection.request import SelectionRequest
from model_registry.selection.select import select
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.migrations import data_directory, seed
from support.paths import ROOT

if TYPE_CHECKING:
    from model_registry.entities.base import Draft

SCHEMA = "model_registry"
DRAFTS: dict[str, type[Draft]] = {
    "model_providers": ProviderDraft,
    "models": ModelDraft,
    "model_aliases": AliasDraft,
    "functions": FunctionDraft,
    "service_model_mappings": MappingDraft,
}
# Provider types whose table in the gateway's configuration has a key for a base URL, and our two that need one.
WITH_BASE_URL = {"anthropic", "openai", "sglang", "tgi", "vllm", "openai_compatible", "ollama", "custom"}
# Provider types that the gateway can ask for embeddings (2026.6), ours included.
WITH_EMBEDDINGS = {"openai", "azure", "openrouter", "openai_compatible", "ollama"}


def run(database_url: str, statement: str, *values: object) -> list[dict[str, Any]]:
    """Run one statement in the registry's schema; answers its rows, ids as text."""
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        connection.execute(sql.SQL("set search_path to {}").format(sql.Identifier(SCHEMA)))
        cursor = connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


def rows(database_url: str, table: str) -> list[dict[str, Any]]:
    found = run(database_url, f"select to_jsonb(t) as row from {table} t")  # noqa: S608 (names of this file)
    return [entry["row"] for entry in found]


def revision(database_url: str) -> int:
    return int(run(database_url, "select coalesce(max(revision), 0) as at from registry_changes")[0]["at"])


@pytest.fixture
def seeded(database_url: str) -> str:
    seed(database_url, SCHEMA)
    return database_url


def test_every_file_is_run_in_order(database_url: str) -> None:
    files = [file.name for file in sorted(data_directory("seeds").glob("*.sql"))]
    assert list(seed(database_url, SCHEMA)) == files


def test_there_is_enough_to_start_with(seeded: str) -> None:
    counts = {table: len(rows(seeded, table)) for table in DRAFTS}
    assert counts["model_providers"] >= 12
    assert counts["models"] >= 40
    assert {row["service_name"] for row in rows(seeded, "functions")} == {"agents", "coding", "research", "embeddings"}
    assert {row["model_type"] for row in rows(seeded, "models")} >= {"chat", "embedding", "reranker", "vl", "tts"}


def test_every_row_of_the_files_goes_in(seeded: str) -> None:
    """A misspelt provider or model is not an error in SQL: the join just finds nothing."""
    for table, file in {
        "model_providers": "010_providers.sql",
        "models": "020_models.sql",
        "model_aliases": "030_aliases.sql",
        "functions": "040_functions.sql",
        "service_model_mappings": "050_mappings.sql",
    }.items():
        lines = (data_directory("seeds") / file).read_text().splitlines()
        assert len(rows(seeded, table)) == sum(line.startswith("        ('") for line in lines), file
    fallbacks = [row for row in rows(seeded, "service_model_mappings") if row["fallback_model_id"]]
    assert len(fallbacks) == 2


def test_a_second_run_makes_no_revision(seeded: str) -> None:
    before = revision(seeded)
    seed(seeded, SCHEMA)
    assert revision(seeded) == before


def test_seeds_are_signed_in_the_change_log(seeded: str) -> None:
    assert run(seeded, "select distinct actor from registry_changes") == [{"actor": "seeds"}]


@pytest.mark.parametrize("table", DRAFTS)
def test_every_row_is_one_that_the_api_would_take(seeded: str, table: str) -> None:
    for row in rows(seeded, table):
        draft = DRAFTS[table].model_validate(row, strict=False).model_dump()
        assert draft == {name: row[name] for name in draft}


def test_providers_have_a_base_url_where_the_gateway_has_a_key_for_it(seeded: str) -> None:
    for provider in rows(seeded, "model_providers"):
        assert (provider["api_base"] is not None) == (provider["type"] in WITH_BASE_URL), provider["name"]
        hosted = provider["metadata"]["location"] == "hosted"
        assert (provider["api_key_env_var"] is not None) == provider["only_with_key"] == hosted, provider["name"]


def test_local_models_say_what_they_take_and_hosted_ones_take_nothing(seeded: str) -> None:
    location = {provider["id"]: provider["metadata"]["location"] for provider in rows(seeded, "model_providers")}
    for model in rows(seeded, "models"):
        assert (model["vram_mb"] == 0) == (location[model["provider_id"]] == "hosted"), model["name"]
        measured_in_tokens = model["model_type"] in {"chat", "embedding", "reranker", "vl"}
        assert model["context_length"] > 0 or not measured_in_tokens, model["name"]
        assert model["capabilities"], model["name"]


def test_every_embedding_model_is_at_a_provider_that_the_gateway_can_ask(seeded: str) -> None:
    types = {provider["id"]: provider["type"] for provider in rows(seeded, "model_providers")}
    embeddings = [model for model in rows(seeded, "models") if model["model_type"] == "embedding"]
    assert {types[model["provider_id"]] for model in embeddings} <= WITH_EMBEDDINGS


def test_models_of_one_name_are_one_routed_model(seeded: str) -> None:
    by_name: dict[str, list[dict[str, Any]]] = {}
    for model in rows(seeded, "models"):
        by_name.setdefault(model["name"], []).append(model)
    assert any(len(offers) > 1 for offers in by_name.values())
    for name, offers in by_name.items():
        assert len({offer["model_type"] for offer in offers}) == 1, name
        priorities = [offer["routing_priority"] for offer in offers]
        assert len(priorities) == len(set(priorities)), name


def test_names_are_bare_keys_and_no_two_collide_in_the_gateway(seeded: str) -> None:
    models = {model["name"] for model in rows(seeded, "models")}
    aliases = [alias["alias"] for alias in rows(seeded, "model_aliases") if alias["context"] in GATEWAY_CONTEXTS]
    assert len(aliases) == len(set(aliases))
    assert models.isdisjoint(aliases)
    functions = {row["name"] for row in rows(seeded, "functions")}
    assert all(name.replace("_", "").isalnum() and name.isascii() for name in models | set(aliases) | functions)
    assert functions == {
        default_function_name(row["service_name"], row["function_name"]) for row in rows(seeded, "functions")
    }


def test_every_function_has_variants_and_prefers_what_runs_here(seeded: str) -> None:
    models = {model["id"]: model for model in rows(seeded, "models")}
    variants: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for mapping in rows(seeded, "service_model_mappings"):
        variants.setdefault((mapping["service_name"], mapping["function_name"]), []).append(mapping)
    assert set(variants) == {(row["service_name"], row["function_name"]) for row in rows(seeded, "functions")}
    for (service, function), each in variants.items():
        kinds = {models[mapping["model_id"]]["model_type"] for mapping in each}
        assert kinds <= ROUTED_TYPES or service == "embeddings", (service, function)
        best = min(mapping["priority"] for mapping in each)
        for mapping in each:
            local = models[mapping["model_id"]]["vram_mb"] > 0
            # Nothing local searches the web.
            assert local == (mapping["priority"] == best) or function in {"search", "report"}, (service, function)


def test_json_functions_say_how_their_variants_make_json(seeded: str) -> None:
    json_functions = {
        (row["service_name"], row["function_name"]) for row in rows(seeded, "functions") if row["type"] == "json"
    }
    assert json_functions
    for mapping in rows(seeded, "service_model_mappings"):
        says = "json_mode" in mapping["tensorzero"]
        assert says == ((mapping["service_name"], mapping["function_name"]) in json_functions)


def test_anthropic_variants_say_max_tokens(seeded: str) -> None:
    """The gateway knows no limit for models newer than itself, and Anthropic refuses a request without one."""
    of_anthropic = run(
        seeded,
        """
        select s.tensorzero from service_model_mappings s
        join models m on m.id = s.model_id join model_providers p on p.id = m.provider_id where p.type = 'anthropic'
        """,
    )
    assert of_anthropic
    assert all("max_tokens" in row["tensorzero"] for row in of_anthropic)


EDITS = {
    "an address": "update model_providers set api_base = 'http://gpu-1:11434/v1' where name = 'ollama_local'",
    "a provider's name": "update model_providers set name = 'openai_main' where name = 'openai'",
    "a provider switched off": "update model_providers set active = false where name = 'xai'",
    "a size": "update models set vram_mb = 9000 where name = 'qwen3_8b'",
    "a model's name": "update models set name = 'house_model' where name = 'gpt_5_5'",
    "a model that moved": """
        update models set provider_id = (select id from model_providers where name = 'ollama_edge')
        where name = 'gemma4_31b'""",
    "an alias that points elsewhere": """
        update model_aliases set model_id = (select id from models where name = 'gemma4_31b')
        where alias = 'default_chat'""",
    "a function's name": "update functions set function_name = 'talk' where name = 'agents_chat'",
    "a weight": "update service_model_mappings set weight = 0.5 where variant_name = 'local_qwen3_5'",
    "a mapping taken away": "delete from service_model_mappings where variant_name = 'hosted_gpt'",
    "an alias taken away": "delete from model_aliases where alias = 'cheap'",
    "a model taken away": "delete from models where name = 'minimax_m3'",
    "a function taken away": """
        with gone as (delete from service_model_mappings where function_name = 'review')
        delete from functions where function_name = 'review'""",
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_people_changed_stays_changed(seeded: str, edit: str) -> None:
    before = revision(seeded)
    run(seeded, EDITS[edit])
    changed = revision(seeded)
    assert changed > before, "the edit was one"
    everything = {table: rows(seeded, table) for table in DRAFTS}
    seed(seeded, SCHEMA)
    assert revision(seeded) == changed
    assert {table: rows(seeded, table) for table in DRAFTS} == everything


def test_seeds_give_way_to_what_was_there_before(database_url: str) -> None:
    run(
        database_url,
        """
        with mine as (insert into model_providers (name, type) values ('openai', 'custom') returning id)
        insert into models (provider_id, name, model_id)
        select id, name, name from mine, unnest(array['cheap', 'gpt_oss_20b']) name
        """,
    )
    run(
        database_url,
        """
        with mine as (select id from models where name = 'cheap'),
             named as (insert into model_aliases (model_id, alias) select id, 'claude_sonnet_5' from mine)
        insert into service_model_mappings (service_name, function_name, variant_name, model_id)
        select 'agents', 'chat', 'mine', id from mine
        """,
    )
    seed(database_url, SCHEMA)

    providers = {row["id"]: row for row in rows(database_url, "model_providers")}
    assert [row["type"] for row in providers.values() if row["name"] == "openai"] == ["custom"]
    # No other provider is slipped into a model that callers know already.
    models = rows(database_url, "models")
    assert [providers[row["provider_id"]]["name"] for row in models if row["name"] == "gpt_oss_20b"] == ["openai"]
    # An alias and a model of one name would be one key twice in the gateway's configuration.
    assert "claude_sonnet_5" not in {row["name"] for row in models}
    assert "cheap" not in {row["alias"] for row in rows(database_url, "model_aliases")}
    # One more variant would change who answers.
    mappings = rows(database_url, "service_model_mappings")
    assert [row["variant_name"] for row in mappings if row["function_name"] == "chat"] == ["mine"]
    assert len(models) > 40


def test_the_documented_question_has_answers(seeded: str) -> None:
    """The request of docs/how-to/choose-models.md, over the starter catalogue."""
    document = (ROOT / "docs/how-to/choose-models.md").read_text("utf-8")
    asked = re.search(r"models/select\".*? -d '(\{.*?\})'\n```", document, re.DOTALL)
    assert asked is not None
    operations = [
        Operation(table, "insert", row["id"], row)
        for table in ("model_providers", "models")
        for row in rows(seeded, table)
    ]
    snapshot = Snapshot.empty().preview(operations)

    found = select(snapshot, ModelIndex(snapshot), SelectionRequest.model_validate_json(asked[1]))

    costs = {(item["model"]["name"], item["model"]["provider_name"]): item["cost"]["exact"] for item in found["items"]}
    assert costs["gpt_oss_120b", "vllm_local"] == costs["devstral_small_2", "ollama_local"] == "0"
    assert costs["claude_haiku_4_5", "anthropic"] == "0.0065"
    priced = [model for model in rows(seeded, "models") if model["card"].get("cost_per_1m_input_tokens") is not None]
    assert len(priced) > 25
    for model in rows(seeded, "models"):
        assert set(model["card"]) == set(model["field_sources"])
        ModelCard.model_validate(model["card"])
