"""A project into the registry: what is planned, what is left alone, and that nothing is lost on the way."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import pytest
import tomli
import tomli_w

from model_registry.entities.change import Operation
from model_registry.gateways.tensorzero.importing.plan import plan_import
from model_registry.gateways.tensorzero.reading.parse import parse_project
from model_registry.gateways.tensorzero.reading.project_files import read_project
from model_registry.gateways.tensorzero.rendering.render import configuration_tree
from model_registry.imports.plan import ImportPlan
from model_registry.snapshot.snapshot import Snapshot
from support import paths

FIXTURES = paths.FIXTURES / "tensorzero"

MODEL = """
[models.m]
routing = ["server"]
[models.m.providers.server]
type = "openai"
api_base = "http://server:9000/v1"
model_name = "model"
api_key_location = "none"
"""
FUNCTION = """
[functions.f]
type = "chat"
[functions.f.variants.a]
type = "chat_completion"
model = "m"
[functions.f.variants.b]
type = "chat_completion"
model = "m"
"""


def new_id() -> str:
    return str(uuid.uuid4())


def plan(text: str, snapshot: Snapshot | None = None) -> ImportPlan:
    return plan_import(parse_project({"tensorzero.toml": text}), snapshot or Snapshot.empty(), new_id)


def imported(text: str, snapshot: Snapshot | None = None) -> Snapshot:
    return (snapshot or Snapshot.empty()).preview(plan(text, snapshot).operations)


def with_rows(*rows: tuple[str, dict[str, Any]], on: Snapshot | None = None) -> Snapshot:
    operations = [Operation(table, "insert", row.get("id", new_id()), row) for table, row in rows]
    return (on or Snapshot.empty()).preview(operations)


def entries(done: ImportPlan, action: str) -> dict[str, str]:
    return {f"{entry.kind} {entry.name}": entry.detail for entry in done.report if entry.action == action}


def static(lists: str) -> str:
    return f'[functions.f.experimentation]\ntype = "static"\n{lists}\n'


def edited(text: str, *replacements: tuple[str, str]) -> str:
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return text


def test_operations_come_in_an_order_that_foreign_keys_allow() -> None:
    done = plan_import(read_project([FIXTURES / "routing"]), Snapshot.empty(), new_id)
    tables = [key for key, _ in itertools.groupby(operation.table for operation in done.operations)]
    assert tables == ["model_providers", "models", "functions", "service_model_mappings", "config_sections"]


def test_ids_are_the_only_thing_that_differs_between_two_plans() -> None:
    project = read_project([FIXTURES / "routing"])
    one, other = (plan_import(project, Snapshot.empty(), map(str, itertools.count()).__next__) for _ in range(2))
    assert one == other


def test_every_chat_variant_becomes_a_mapping() -> None:
    project = read_project([FIXTURES / "agents"])
    snapshot = Snapshot.empty().preview(plan_import(project, Snapshot.empty(), new_id).operations)
    for name, function in project.table("functions").items():
        mappings = snapshot.mappings.where("function", ("tensorzero", name))
        found = {m.variant_name: snapshot.models[m.model_id].name for m in mappings}
        assert found == {key: variant["model"] for key, variant in function["variants"].items()}


# Providers ----------------------------------------------------------------------------------------------------------


def test_models_of_one_connection_share_a_provider() -> None:
    snapshot = imported((FIXTURES / "agents" / "tensorzero.toml").read_text("utf-8"))
    assert sorted((p.name, p.type, p.api_base, p.api_key_env_var) for p in snapshot.providers)[:3] == [
        ("moonshot_main", "openai_compatible", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
        ("ollama_edge", "openai_compatible", "http://edge-node:11434/v1", None),
        ("ollama_local", "openai_compatible", "http://ollama:11434/v1", None),
    ]
    assert len(snapshot.providers) == 7


def test_a_provider_key_that_is_not_the_rows_name_stays_with_the_model() -> None:
    snapshot = imported((FIXTURES / "agents" / "tensorzero.toml").read_text("utf-8"))
    (model,) = snapshot.models.where("name", "embed_nomic_local")
    assert snapshot.providers[model.provider_id].name == "ollama_local"
    assert model.tensorzero == {"provider_key": "ollama_local_embedding"}
    assert model.model_type == "embedding"


def test_connections_that_differ_in_anything_never_share_a_provider() -> None:
    snapshot = imported((FIXTURES / "routing" / "tensorzero.toml").read_text("utf-8"))
    for one, other in itertools.combinations(("gpt", "gpt_other_account", "gpt_proxy"), 2):
        assert snapshot.models.where("name", one)[0].provider_id != snapshot.models.where("name", other)[0].provider_id


def test_the_gateways_default_key_is_made_explicit() -> None:
    snapshot = imported((FIXTURES / "routing" / "tensorzero.toml").read_text("utf-8"))
    variables = {p.name: p.api_key_env_var for p in snapshot.providers}
    assert variables["openai"] == "OPENAI_API_KEY"
    assert variables["openai-proxy.example.com"] == "OPENAI_API_KEY"
    assert variables["groq"] == "TEAM_GROQ_KEY", "the project's provider_types section says so"


def test_credentials_that_are_no_variable_stay_as_they_are() -> None:
    snapshot = imported((FIXTURES / "routing" / "tensorzero.toml").read_text("utf-8"))
    rows = {p.name: p.tensorzero for p in snapshot.providers}
    assert rows["fireworks"] == {
        "api_key_location": {"default": "dynamic::fireworks_key", "fallback": "env::FIREWORKS_API_KEY"}
    }
    assert rows["vertex"]["credential_location"] == "dynamic::gcp_credentials"
    assert rows["bedrock"] == {"region": "us-east-1"}
    assert rows["azure_by_variable"] == {"endpoint": "env::AZURE_ENDPOINT"}


@pytest.mark.parametrize("kind", ["ollama", "openai_compatible", "openai"])
def test_a_provider_of_the_registry_is_used_when_it_fits(kind: str) -> None:
    row = {"name": "mine", "type": kind, "api_base": "http://server:9000/v1/"}
    snapshot = with_rows(("model_providers", row))
    after = imported(MODEL, snapshot)
    (provider,) = after.providers
    assert (provider.name, provider.api_base) == ("mine", "http://server:9000/v1/")
    assert after.models.where("name", "m")[0].tensorzero == {"provider_key": "server"}


@pytest.mark.parametrize(
    "row",
    [
        {"api_base": "http://other:9000/v1"},
        {"api_key_env_var": "SOME_KEY"},
        {"tensorzero": {"api_key_location": "dynamic::key"}},
        {"tensorzero": {"timeouts": {"non_streaming": {"total_ms": 1}}}},
        {"type": "vllm"},
    ],
)
def test_a_provider_of_the_registry_that_differs_is_left_alone(row: dict[str, Any]) -> None:
    fitting = {"name": "server", "type": "openai_compatible", "api_base": "http://server:9000/v1"}
    snapshot = with_rows(("model_providers", fitting | row))
    after = imported(MODEL, snapshot)
    assert sorted(p.name for p in after.providers) == ["server", "server-2"]
    assert configuration_tree(after) == tomli.loads(MODEL)


def test_a_server_that_moved_takes_its_provider_along() -> None:
    text = edited(MODEL, ("models.m", "models.n")) + MODEL
    moved = edited(text, ("http://server:9000/v1", "http://new-server:9000/v1"))
    before = imported(text)
    done = plan(moved, before)
    assert entries(done, "changed") == {
        "provider server": "api_base http://server:9000/v1 -> http://new-server:9000/v1"
    }
    assert [operation.action for operation in done.operations] == ["update"]


def test_a_provider_stays_when_only_one_of_its_models_moves() -> None:
    other = edited(MODEL, ("models.m", "models.n"))
    moved = MODEL + edited(other, ("http://server:9000/v1", "http://new-server:9000/v1"))
    after = imported(moved, imported(MODEL + other))
    bases = {model.name: after.providers[model.provider_id].api_base for model in after.models}
    assert bases == {"m": "http://server:9000/v1", "n": "http://new-server:9000/v1"}
    assert configuration_tree(after) == tomli.loads(moved)


def test_an_inactive_row_that_the_project_uses_becomes_active() -> None:
    before = imported(MODEL)
    rows = [(table, row.id) for table in ("models", "model_providers") for row in before.tables[table]]
    off = [Operation(table, "update", row_id, {"active": False}) for table, row_id in rows]
    done = plan(MODEL, before.preview(off))
    assert entries(done, "changed") == {"provider server": "active false -> true", "model m": "active false -> true"}


# Models -------------------------------------------------------------------------------------------------------------


def test_the_catalogues_own_columns_of_a_model_are_kept() -> None:
    before = imported(MODEL)
    (model,) = before.models
    known = {"model_type": "vl", "capabilities": ["vision"], "vram_mb": 6, "description": "Ours", "metadata": {"a": 1}}
    before = before.preview([Operation("models", "update", model.id, known)])
    assert plan(MODEL, before).operations == ()
    (after,) = imported(edited(MODEL, ('"model"', '"model-2"')), before).models
    assert after.model_dump() == before.models[model.id].model_dump() | {"model_id": "model-2"}


def test_routing_order_becomes_priorities_and_a_new_order_becomes_updates() -> None:
    text = """
[models.m]
routing = ["b", "a"]
[models.m.providers.a]
type = "mistral"
model_name = "a"
[models.m.providers.b]
type = "groq"
model_name = "b"
"""
    before = imported(text)
    assert [(row.model_id, row.routing_priority) for row in before.models] == [("b", 0), ("a", 1)]
    done = plan(edited(text, ('["b", "a"]', '["a", "b"]')), before)
    assert sorted(entries(done, "changed").values()) == ["routing_priority 0 -> 1", "routing_priority 1 -> 0"]


def test_a_further_provider_of_the_registry_stays_behind_those_of_the_project() -> None:
    before = imported(MODEL)
    before = with_rows(("model_providers", {"id": "p", "name": "extra", "type": "mistral"}), on=before)
    further = {"provider_id": "p", "name": "m", "model_id": "x", "routing_priority": -1}
    before = with_rows(("models", further), on=before)
    after = imported(MODEL, before)
    assert configuration_tree(after)["models"]["m"]["routing"] == ["server", "extra"]
    assert plan(MODEL, after).operations == ()


def test_a_row_whose_provider_key_the_project_gives_to_another_is_moved() -> None:
    changed = edited(MODEL, ('type = "openai"', 'type = "vllm"'))
    after = imported(changed, imported(MODEL))
    assert configuration_tree(after) == tomli.loads(changed)
    assert len(after.models) == 1


def test_a_provider_key_of_null_is_the_providers_name() -> None:
    before = imported(MODEL)
    keyless = before.models[next(iter(before.models)).id].model_dump() | {"tensorzero": {"provider_key": None}}
    before = before.preview([Operation("models", "delete", keyless["id"], {})])
    before = with_rows(("models", keyless), on=before)
    after = imported(edited(MODEL, ('type = "openai"', 'type = "vllm"')), before)
    assert [row.id for row in after.models] == [keyless["id"]]


def test_an_alias_that_the_registry_renders_comes_back_as_that_alias() -> None:
    before = imported(MODEL + FUNCTION)
    before = with_rows(("model_aliases", {"model_id": next(iter(before.models)).id, "alias": "nick"}), on=before)
    text = tomli_w.dumps(configuration_tree(before))
    assert "[models.nick]" in text
    assert plan(text, before).operations == ()
    by_alias = edited(text, ('model = "m"', 'model = "nick"'))
    assert plan(by_alias, before).operations == ()


def test_shorthand_models_become_rows_on_a_provider_of_that_type() -> None:
    snapshot = imported((FIXTURES / "shorthands" / "tensorzero.toml").read_text("utf-8"))
    rows = {m.name: (snapshot.providers[m.provider_id].name, m.model_id) for m in snapshot.models}
    assert rows == {
        "gpt": ("openai", "gpt-4o"),
        "openai::gpt-4o-mini": ("openai", "gpt-4o-mini"),
        "openai::responses::gpt-5": ("openai", "gpt-5"),
        "anthropic::claude-3-5-haiku-20241022": ("anthropic", "claude-3-5-haiku-20241022"),
    }
    assert configuration_tree(snapshot)["models"].keys() == {"gpt"}


SEEDS = (
    ("openai", "openai", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    ("anthropic", "anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
    ("ollama_local", "ollama", "http://localhost:11434", None),
)


def seeded() -> Snapshot:
    columns = ("name", "type", "api_base", "api_key_env_var")
    return with_rows(*(("model_providers", dict(zip(columns, seed, strict=True))) for seed in SEEDS))


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ('type = "openai"', "openai"),
        ('type = "openai"\napi_base = "https://API.openai.com:443/v1/"', "openai"),
        ('type = "openai"\napi_key_location = "env::OPENAI_API_KEY"', "openai"),
        ('type = "anthropic"', "anthropic"),
        ('type = "openai"\napi_base = "http://127.0.0.1:11434/v1"\napi_key_location = "none"', "ollama_local"),
        ('type = "openai"\napi_key_location = "env::OTHER_KEY"', None),
        ('type = "openai"\napi_base = "http://localhost:11434"\napi_key_location = "none"', None),  # not below /v1
        ('type = "openai"\napi_base = "https://api.openai.com/v2"', None),
    ],
)
def test_the_same_address_with_the_same_key_is_the_same_provider(table: str, row: str | None) -> None:
    text = f'[models.m]\nrouting = ["key"]\n[models.m.providers.key]\n{table}\nmodel_name = "x"\n'
    done = plan(text, seeded())
    after = imported(text, seeded())
    assert after.providers[next(iter(after.models)).provider_id].name == (row or "key")
    assert len(after.providers) == len(SEEDS) + (row is None)
    assert plan(text, after).operations == ()
    if row and "api_base" not in table:
        assert "api_base left out -> https://api." in "".join(e.detail for e in done.report if e.action == "normalised")


def test_a_shorthand_goes_to_the_provider_at_the_vendors_own_address() -> None:
    text = edited(FUNCTION, ('"m"', '"openai::gpt-4o-mini"'))
    after = imported(text, seeded())
    (model,) = after.models
    assert after.providers[model.provider_id].name == "openai"
    assert plan(text, after).operations == ()


def test_a_shorthand_never_goes_to_a_provider_with_an_address_of_its_own() -> None:
    row = {"name": "openai", "type": "openai", "api_base": "https://proxy.example.com/v1"}
    text = edited(FUNCTION, ('"m"', '"openai::gpt-4o-mini"'))
    after = imported(text, with_rows(("model_providers", row)))
    (model,) = after.models
    provider = after.providers[model.provider_id]
    assert (provider.name, provider.api_base, provider.api_key_env_var) == ("openai-shorthand", None, None)


# Functions and variants ---------------------------------------------------------------------------------------------


def test_a_changed_weight_becomes_an_update() -> None:
    text = MODEL + FUNCTION + static("candidate_variants = { a = 1.0, b = 0.5 }")
    done = plan(edited(text, ("a = 1.0", "a = 0.3")), imported(text))
    assert entries(done, "changed") == {"variant f.a": "weight 1.0 -> 0.3"}
    (operation,) = done.operations
    assert (operation.action, operation.row, operation.version) == ("update", {"weight": 0.3}, 1)


def test_a_changed_model_parameter_and_type_of_number_become_updates() -> None:
    text = MODEL + FUNCTION + "temperature = 1\n"
    before = imported(text)
    assert entries(plan(edited(text, ("= 1\n", "= 0.5\n")), before), "changed") == {
        "variant f.b": "tensorzero.temperature 1 -> 0.5"
    }
    assert entries(plan(edited(text, ("= 1\n", "= 1.0\n")), before), "changed") == {
        "variant f.b": "tensorzero.temperature 1 -> 1.0"
    }
    other = edited(MODEL, ("models.m", "models.n")) + text
    moved = edited(other, ('model = "m"\ntemperature', 'model = "n"\ntemperature'))
    assert entries(plan(moved, before), "changed") == {"variant f.b": "model_id m -> n"}


def test_a_function_that_the_registry_knows_keeps_its_service() -> None:
    function = {"service_name": "agent_zero", "function_name": "chat", "name": "f", "description": "Ours"}
    after = imported(MODEL + FUNCTION, with_rows(("functions", function)))
    (row,) = after.functions
    assert (row.service_name, row.function_name, row.description) == ("agent_zero", "chat", "Ours")
    assert {(m.service_name, m.function_name) for m in after.mappings} == {("agent_zero", "chat")}


def test_a_function_whose_key_is_taken_gets_another_one() -> None:
    taken = {"service_name": "tensorzero", "function_name": "f", "name": "other"}
    after = imported(MODEL + FUNCTION, with_rows(("functions", taken)))
    assert {row.name: row.function_name for row in after.functions} == {"other": "f", "f": "f-2"}
    assert plan(MODEL + FUNCTION, after).operations == ()


def test_mappings_that_the_project_does_not_mention_are_left_alone() -> None:
    before = imported(MODEL + FUNCTION)
    row = {"service_name": "tensorzero", "function_name": "f", "variant_name": "z", "weight": 7.0}
    before = with_rows(("service_model_mappings", row | {"model_id": next(iter(before.models)).id}), on=before)
    assert plan(MODEL + FUNCTION, before).operations == ()


def test_priorities_that_mean_the_same_are_kept() -> None:
    text = MODEL + FUNCTION + static('candidate_variants = ["a"]\nfallback_variants = ["b"]')
    before = imported(text)
    tens = [Operation("service_model_mappings", "update", m.id, {"priority": m.priority * 10}) for m in before.mappings]
    assert plan(text, before.preview(tens)).operations == ()


def test_weights_that_priorities_cannot_tell_stay_with_the_function() -> None:
    snapshot = imported((FIXTURES / "deprecated" / "tensorzero.toml").read_text("utf-8"))
    kept = {row.name: row.tensorzero.get("experimentation") for row in snapshot.functions}
    assert {name for name, said in kept.items() if said} == {"one_switched_off", "only_fallbacks"}
    mappings = snapshot.mappings.where("function", ("tensorzero", "some_weighted"))
    ranks = {m.variant_name: (m.priority, m.weight) for m in mappings}
    assert ranks == {"drawn": (1, 1.0), "fallback": (2, 1.0)}


def test_rewritten_syntax_is_reported() -> None:
    done = plan((FIXTURES / "deprecated" / "tensorzero.toml").read_text("utf-8"))
    assert entries(done, "normalised") == {
        "function all_weighted": "weight on variants -> experimentation",
        "function some_weighted": "weight on variants -> experimentation",
        "function one_switched_off": "weight on variants -> experimentation",
        "function all_switched_off": "weights of nothing but 0 mean: all alike",
        "function uniform": "experimentation uniform -> all alike",
        "function uniform_lists": "experimentation uniform -> static",
        "function static_weights": "experimentation static_weights -> static",
        "project models.old_provider.providers.messages": "api_base without /messages, which the gateway adds itself",
    }


def test_adaptive_experimentation_stays_as_it_is() -> None:
    said = '[functions.f.experimentation]\ntype = "adaptive"\nmetric = "solved"\ncandidate_variants = ["a", "b"]'
    metric = '\n[metrics.solved]\ntype = "boolean"\noptimize = "max"\nlevel = "inference"\n'
    snapshot = imported(MODEL + FUNCTION + said + metric)
    (function,) = snapshot.functions
    assert function.tensorzero["experimentation"] == tomli.loads(said)["functions"]["f"]["experimentation"]


def test_a_variant_that_loses_its_model_is_no_mapping_any_more() -> None:
    text = MODEL + FUNCTION
    as_best = 'type = "experimental_best_of_n_sampling"\ncandidates = ["a"]\nevaluator = { model = "m" }'
    best = edited(text, ('b]\ntype = "chat_completion"\nmodel = "m"', f"b]\n{as_best}"))
    after = imported(best, imported(text))
    assert [m.variant_name for m in after.mappings] == ["a"]
    assert configuration_tree(after)["functions"]["f"]["variants"] == tomli.loads(best)["functions"]["f"]["variants"]
    again = imported(text, after)
    assert configuration_tree(again)["functions"]["f"]["variants"] == tomli.loads(text)["functions"]["f"]["variants"]


def test_sections_are_merged_by_entry_where_entries_have_names() -> None:
    metric = '[metrics.{0}]\ntype = "boolean"\nlevel = "inference"\noptimize = "max"\n'
    after = imported(metric.format("two") + "[gateway]\ndebug = true", imported(metric.format("one") + "[gateway]\n"))
    sections = {row.name: row.value for row in after.sections}
    assert sections["metrics"].keys() == {"one", "two"}
    assert sections["gateway"] == {"debug": True}


def test_a_variant_on_a_test_model_stays_with_its_function_and_no_service_is_routed_to_it() -> None:
    text = MODEL + FUNCTION.replace('model = "m"\n', 'model = "dummy::good"\n', 1)
    after = imported(text)
    assert [mapping.variant_name for mapping in after.mappings] == ["b"]
    assert {model.name for model in after.models} == {"m"}
    rendered = configuration_tree(after)["functions"]["f"]
    assert rendered["variants"] == tomli.loads(text)["functions"]["f"]["variants"]
    assert "experimentation" not in rendered  # both are drawn, as in the project
    (warning,) = [entry for entry in plan(text).report if entry.action == "warning"]
    assert (warning.name, "every call fails" in warning.detail) == ("f.a", True)
    assert plan(text, after).operations == ()
