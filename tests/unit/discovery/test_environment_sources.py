"""Sources that variables make."""

from __future__ import annotations

from typing import Any

from model_registry.discovery.environment_sources import environment_drafts, plan_environment
from model_registry.entities.change import Operation
from model_registry.settings import Settings
from model_registry.snapshot.snapshot import Snapshot


def planned(snapshot: Snapshot, **variables: str) -> list[Operation]:
    ids = iter(str(number) for number in range(10))
    return list(plan_environment(snapshot, environment_drafts(Settings(**variables)), lambda: next(ids)))  # type: ignore[arg-type]


def shown(operations: list[Operation]) -> list[tuple[str, Any]]:
    return [(o.action, (o.row or {}).get("name") or (o.row or {}).get("address")) for o in operations]


def test_a_variable_makes_a_source_and_goes_with_it() -> None:
    timm = planned(Snapshot.empty(), TIMM_SERVICE_URL="http://timm:8000")
    assert shown(timm) == [("insert", "timm_service")]
    assert timm[0].row is not None
    assert timm[0].row["framework"] == "timm"
    there = Snapshot.empty().preview(timm)

    assert planned(there, TIMM_SERVICE_URL="http://timm:8000") == []
    assert shown(planned(there, TIMM_SERVICE_URL="http://timm:9000")) == [("update", "http://timm:9000")]
    assert shown(planned(there, TRAINING_SERVICE_URL="http://t:1")) == [
        ("delete", None),
        ("insert", "training_service"),
    ]


def test_a_value_that_is_no_address_makes_none() -> None:
    assert planned(Snapshot.empty(), TIMM_SERVICE_URL="timm:8000") == []


def test_a_source_that_people_made_is_left_alone() -> None:
    people = Operation("model_sources", "insert", "x", {"name": "timm_service", "kind": "ollama"})
    assert planned(Snapshot.empty().preview([people]), TIMM_SERVICE_URL="http://timm:8000") == []
