"""LiteLLM among the kinds: which variables a row needs, and which steps concern it."""

from __future__ import annotations

from typing import Any

import pytest

from model_registry.entities.change import Change, Operation
from model_registry.gateways.kinds import KINDS
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue

LITELLM = KINDS["litellm"]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"type": "groq", "api_key_env_var": "K"}, ("K",)),
        ({"type": "groq"}, ("GROQ_API_KEY",)),
        ({"type": "groq", "active": False}, ()),
        ({"type": "openai_compatible"}, ()),
        ({"type": "openai", "litellm": {"api_base": "os.environ/BASE", "api_key": "os.environ/K"}}, ("BASE", "K")),
        ({"type": "custom", "litellm": {"prefix": "cohere", "api_key": "os.environ/CO"}}, ("CO",)),
    ],
)
def test_a_provider_needs_the_variables_that_its_entries_name(
    columns: dict[str, Any], expected: tuple[str, ...]
) -> None:
    catalogue = Catalogue()
    catalogue.provider("p", **columns)
    snapshot = catalogue.snapshot()
    [provider] = snapshot.providers
    assert tuple(LITELLM.needs(snapshot, provider)) == expected


def test_a_model_needs_the_variables_of_its_own_parameters() -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider(), "m", litellm={"litellm_params": {"api_key": "os.environ/MINE", "rpm": 3}})
    snapshot = catalogue.snapshot()
    [model] = snapshot.models
    assert tuple(LITELLM.needs(snapshot, model)) == ("MINE",)


def concerned(snapshot: Snapshot, operation: Operation) -> bool:
    after = snapshot.preview([operation])
    change = Change(1, "", "", None, operation.table, operation.id, operation.action, None)
    return LITELLM.concerns(snapshot, after, [change])


def test_a_step_of_a_node_concerns_it_only_where_nodes_are_routed() -> None:
    catalogue = Catalogue()
    p = catalogue.provider("p", "ollama")
    m = catalogue.model(p, "m")
    d = catalogue.deployment(m)
    snapshot = catalogue.snapshot()
    gone = Operation("model_deployments", "update", d, {"status": "lost"})
    assert not concerned(snapshot, gone)
    assert concerned(snapshot.preview([Operation("model_providers", "update", p, {"route_by": "deployments"})]), gone)
    assert concerned(snapshot, Operation("models", "update", m, {"model_id": "x"}))
    assert not concerned(snapshot, Operation("model_categories", "insert", "c", {"key": "k", "name": "n"}))
