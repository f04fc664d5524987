"""Filters of lists: what they match, and invalid values that they refuse instead of returning an empty list."""

from __future__ import annotations

from typing import get_args

import pytest

from model_registry.catalog.list_filters import (
    PUBLIC_TABLES,
    check_change_filters,
    search_deployments,
    search_providers,
)
from model_registry.entities.change import Operation
from model_registry.entities.model import MODEL_TYPE_SYNONYMS, Model, ModelType
from model_registry.errors import Invalid
from model_registry.selection.model_filter import ModelFilter
from model_registry.selection.model_filter import search_models as search_index
from model_registry.selection.model_index import ModelIndex
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue


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


def search_models(snapshot: Snapshot, **filters: object) -> list[Model]:
    return search_index(snapshot, ModelIndex(snapshot), ModelFilter.model_validate(filters))


def labels(models: list[object]) -> list[str]:
    return [f"{m.name} {m.model_type}" for m in models]  # type: ignore[attr-defined]


def test_every_type_and_every_synonym_means_a_type(snapshot: Snapshot) -> None:
    for value in (*get_args(ModelType), *MODEL_TYPE_SYNONYMS):
        wanted = MODEL_TYPE_SYNONYMS.get(value, value)
        for written in (value, value.upper()):
            assert all(m.model_type == wanted for m in search_models(snapshot, model_type=written))
    assert set(MODEL_TYPE_SYNONYMS.values()) <= set(get_args(ModelType))
    assert not set(MODEL_TYPE_SYNONYMS) & set(get_args(ModelType))


def test_filters_narrow_each_other_down(snapshot: Snapshot) -> None:
    assert labels([*search_models(snapshot)]) == ["a vl", "a embedding", "b chat"]
    assert labels([*search_models(snapshot, name="a")]) == ["a vl", "a embedding"]
    assert labels([*search_models(snapshot, capability=["chat"], active=True)]) == ["a vl", "a embedding"]
    assert labels([*search_models(snapshot, capability=["vision", "chat"])]) == ["a vl"]
    assert labels([*search_models(snapshot, name="a", capability=["vision"])]) == ["a vl"]
    assert labels([*search_models(snapshot, provider="openai", name="a")]) == ["a embedding"]
    assert labels([*search_models(snapshot, provider="local", model_type="chat")]) == ["b chat"]
    assert search_models(snapshot, name="c") == []


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
def test_what_means_nothing_is_refused_with_what_does(snapshot: Snapshot, value: str) -> None:
    for search in (
        lambda: search_models(snapshot, model_type=value),
        lambda: search_models(snapshot, provider=value),
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
