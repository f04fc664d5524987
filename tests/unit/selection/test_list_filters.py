"""Filters of lists: what they match, in which order, and the invalid values that they refuse."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.catalog.views import ModelView
from model_registry.entities.change import Operation
from model_registry.entities.model import MODEL_TYPE_SYNONYMS, Model, ModelType
from model_registry.errors import Invalid
from model_registry.selection.filter_values import known
from model_registry.selection.list_filters import (
    PUBLIC_TABLES,
    ModelFilter,
    check_change_filters,
    search_deployments,
    search_models,
    search_providers,
)
from model_registry.selection.model_index import ModelIndex
from model_registry.selection.model_numbers import NUMBERS
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue
from support.choices import FILTERS, catalogue_of, mean_nothing, number, operations, passes, views


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    catalogue = Catalogue()
    local = catalogue.provider("local", "ollama")
    cloud = catalogue.provider("cloud", "openai", active=False)
    catalogue.model(local, "a", capabilities=["chat", "vision"], model_type="vl")
    catalogue.model(local, "b", capabilities=["chat"], active=False)
    catalogue.model(cloud, "a", capabilities=["chat"], model_type="embedding")
    deployments = [
        Operation(
            "model_deployments",
            "insert",
            f"d{i}",
            {"node_id": node, "provider_type": "ollama", "announced_model": model},
        )
        for i, (node, model) in enumerate((("gpu-1", "x"), ("gpu-10", "x"), ("gpu-1", "y")))
    ]
    return catalogue.snapshot().preview(deployments)


def matching(snapshot: Snapshot, **filters: object) -> list[Model]:
    return search_models(snapshot, ModelIndex(snapshot), ModelFilter.model_validate(filters))


def labels(models: list[object]) -> list[str]:
    return [f"{m.name} {m.model_type}" for m in models]  # type: ignore[attr-defined]


def test_every_type_and_every_synonym_means_a_type(snapshot: Snapshot) -> None:
    for value in (*get_args(ModelType), *MODEL_TYPE_SYNONYMS):
        wanted = MODEL_TYPE_SYNONYMS.get(value, value)
        for written in (value, value.upper()):
            assert all(m.model_type == wanted for m in matching(snapshot, model_type=written))
    assert set(MODEL_TYPE_SYNONYMS.values()) <= set(get_args(ModelType))
    assert not set(MODEL_TYPE_SYNONYMS) & set(get_args(ModelType))


def test_filters_narrow_each_other_down(snapshot: Snapshot) -> None:
    assert labels([*matching(snapshot)]) == ["a vl", "a embedding", "b chat"]
    assert labels([*matching(snapshot, name="a")]) == ["a vl", "a embedding"]
    assert labels([*matching(snapshot, capability=["chat"], active=True)]) == ["a vl", "a embedding"]
    assert labels([*matching(snapshot, capability=["vision", "chat"])]) == ["a vl"]
    assert labels([*matching(snapshot, name="a", capability=["vision"])]) == ["a vl"]
    assert labels([*matching(snapshot, provider="openai", name="a")]) == ["a embedding"]
    assert labels([*matching(snapshot, provider="local", model_type="chat")]) == ["b chat"]
    assert matching(snapshot, name="b", capability=["vision"]) == []


def test_providers_are_filtered(snapshot: Snapshot) -> None:
    assert [p.name for p in search_providers(snapshot)] == ["cloud", "local"]
    assert [p.name for p in search_providers(snapshot, provider_type="ollama")] == ["local"]
    assert [p.name for p in search_providers(snapshot, active=False)] == ["cloud"]
    assert search_providers(snapshot, provider_type="groq") == []


def test_nodes_are_whole_names(snapshot: Snapshot) -> None:
    assert [d.id for d in search_deployments(snapshot, node_id="gpu-1")] == ["d0", "d2"]
    assert search_deployments(snapshot, node_id="gpu") == []
    assert [d.id for d in search_deployments(snapshot, model="x")] == ["d0", "d1"]


@pytest.mark.parametrize("value", ["", "chats", " chat"])
def test_an_unknown_value_is_refused_with_the_allowed_ones(snapshot: Snapshot, value: str) -> None:
    for search in (
        lambda: matching(snapshot, model_type=value),
        lambda: matching(snapshot, provider=value),
        lambda: search_providers(snapshot, provider_type=value),
        lambda: search_deployments(snapshot, status=value),
        lambda: check_change_filters(value, None),
    ):
        with pytest.raises(Invalid, match="Unknown ") as caught:
            search()
        assert caught.value.data["allowed"]
        assert all(isinstance(word, str) and word in caught.value.message for word in caught.value.data["allowed"])
    with pytest.raises(Invalid, match="UUID"):
        check_change_filters(None, value)


def test_the_change_log_does_not_know_of_keys() -> None:
    assert "models" in PUBLIC_TABLES
    assert "api_keys" not in PUBLIC_TABLES
    check_change_filters("models", "6f3a27d4-0000-4000-8000-00000000000a")


def found(snapshot: Snapshot, filters: dict[str, Any], sort: str | None = None) -> list[str]:
    models = search_models(snapshot, ModelIndex(snapshot), ModelFilter.model_validate(filters), sort)
    return [model.id for model in models]


@given(operations(), FILTERS)
def test_filters_let_through_what_a_plain_reading_of_them_lets_through(
    made: list[Operation], filters: dict[str, Any]
) -> None:
    snapshot = catalogue_of(made)
    every = views(snapshot)

    if mean_nothing(every, filters):
        with pytest.raises(Invalid, match="Unknown "):
            found(snapshot, filters)
    else:
        assert found(snapshot, filters) == [view["id"] for view in every if passes(view, filters)]


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ({"max_cost_per_1m_input_tokens": 0.15}, ["a"]),
        ({"max_cost_per_1m_input_tokens": 0.14}, []),
        ({"max_cost_per_1m_output_tokens": 0.6}, ["a"]),
        ({"min_context": 4096}, ["a", "b"]),
        ({"min_context": 4097}, ["b"]),
        ({"tag": ["x", "y"]}, ["b"]),
        ({"capability": ["tools"]}, ["a"]),
        ({"status": ["active"]}, ["a", "c"]),
        ({"offered": False}, ["b"]),
        ({"q": "BEE y"}, ["b"]),
    ],
)
def test_limits_are_kept_where_they_lie(filters: dict[str, Any], left: list[str]) -> None:
    catalogue = Catalogue()
    local = catalogue.provider()
    prices = {"cost_per_1m_input_tokens": 0.15, "cost_per_1m_output_tokens": 0.6}
    catalogue.model(local, "a", **prices, context_length=4096, capabilities=["Function_Calling"], tags=["x"])
    catalogue.model(local, "b", context_length=8192, tags=["x", "y"], status="deprecated", display_name="Bee")
    catalogue.model(local, "c")
    snapshot = catalogue.snapshot()

    models = search_models(snapshot, ModelIndex(snapshot), ModelFilter.model_validate(filters))

    assert [model.name for model in models] == left


SORTED_BY = [
    *("cost_per_1m_input_tokens", "context_window", "quality_scores.coding", "parameters", "routing_priority"),
    *("requirements.min_vram_gb", "latency_p50_ms", "vram_mb"),
]


@given(operations(), st.sampled_from(SORTED_BY), st.sampled_from(["", "-"]))
def test_sorting_puts_the_unknown_last_and_keeps_the_stable_order_of_equals(
    made: list[Operation], name: str, direction: str
) -> None:
    snapshot = catalogue_of(made)

    def key(view: dict[str, Any]) -> tuple[bool, float]:
        value = number(view, name)
        return value is None, 0 if value is None else -value if direction else value

    expected = [view["id"] for view in sorted(views(snapshot), key=key)]
    assert found(snapshot, {}, direction + name) == expected


def test_benchmarks_can_be_sorted_by_where_a_model_has_one() -> None:
    catalogue = Catalogue()
    local = catalogue.provider()
    best = catalogue.model(local, "a", benchmarks={"mmlu": {"score": 70}})
    none = catalogue.model(local, "b")
    worst = catalogue.model(local, "c", benchmarks={"mmlu": {"score": 60}})
    snapshot = catalogue.snapshot()

    assert found(snapshot, {}, "benchmarks.mmlu") == [worst, best, none]
    assert found(snapshot, {}, "-benchmarks.mmlu") == [best, worst, none]
    with pytest.raises(Invalid, match=r"benchmarks\.mmlu"):
        found(snapshot, {}, "benchmarks.arc")


def _numbers(schema: dict[str, Any], whole: dict[str, Any], prefix: str = "") -> set[str]:
    """The dotted names of every number in a JSON Schema."""
    names = set()
    for name, field in schema.get("properties", {}).items():
        for choice in field.get("anyOf", [field]):
            reference = choice.get("$ref", "").rpartition("/")[2]
            if choice.get("type") in ("integer", "number"):
                names.add(f"{prefix}{name}")
            elif reference:
                names |= _numbers(whole["$defs"][reference], whole, f"{prefix}{name}.")
    return names


def test_every_number_of_a_model_can_be_sorted_by() -> None:
    schema = ModelView.model_json_schema()

    assert _numbers(schema, schema) - {"context_length"} == NUMBERS.keys() - {"parameters"}


@pytest.mark.parametrize(
    ("filters", "parameter", "allowed"),
    [
        ({"status": ["active", "gone"]}, "status", "maintenance"),
        ({"category": "cars"}, "category", "text-llm"),
        ({"provider": "nobody"}, "provider", "ollama"),
        ({"provider_type": "nobody"}, "provider_type", "ollama"),
        ({"model_type": "poem"}, "model_type", "vision"),
        ({"capability": ["visoin"]}, "capability", "vision"),
        ({"name": "qwen"}, "name", "qwen3"),
        ({"model_id": ""}, "model_id", "qwen3-id"),
        ({"tag": ["smal"]}, "tag", "small"),
        ({"framework": ""}, "framework", "vllm"),
        ({"task_type": "text_generation"}, "task_type", "text-generation"),
        ({"sort": "price"}, "sort", "cost_per_1m_input_tokens"),
        ({"sort": "--vram_mb"}, "sort", "vram_mb"),
        ({"sort": ""}, "sort", "vram_mb"),
    ],
)
def test_an_unknown_filter_of_models_is_refused_with_the_allowed_ones(
    filters: dict[str, Any], parameter: str, allowed: str
) -> None:
    catalogue = Catalogue()
    catalogue.category("text-llm")
    facts = {"tags": ["small"], "framework": "vllm", "task_types": ["text-generation"]}
    catalogue.model(catalogue.provider(), "qwen3", **facts)
    sort = filters.pop("sort", None)

    with pytest.raises(Invalid, match="Unknown ") as caught:
        found(catalogue.snapshot(), filters, sort)

    assert [reason.where for reason in caught.value.reasons] == [parameter]
    assert allowed in caught.value.data["allowed"]


def test_rows_that_sql_wrote_are_read_without_failing() -> None:
    catalogue = Catalogue()
    local = catalogue.provider()
    odd = {"tags": "x", "category": ["a"], "benchmarks": [1], "quality_scores": 3, "parameters": "manyB"}
    card = odd | {"cost_per_1m_input_tokens": "free", "max_output_tokens": 10**400, "latency_p50_ms": True}
    row = {"provider_id": local, "name": "m", "model_id": "m", "card": card}
    snapshot = catalogue.snapshot().preview([Operation("models", "insert", "1", row)])

    for sort in NUMBERS:
        assert found(snapshot, {}, sort) == ["1"]
    with pytest.raises(Invalid, match="Unknown tag 'x'"):
        found(snapshot, {"tag": ["x"]})
    assert found(snapshot, {"max_cost_per_1m_input_tokens": 9}) == []


def test_a_filter_by_what_there_is_none_of_says_so() -> None:
    with pytest.raises(Invalid) as refused:
        known("alias", "x", set())
    assert str(refused.value) == "Unknown alias 'x': there are none yet."
