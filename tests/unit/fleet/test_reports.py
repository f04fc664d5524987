"""What is reported over HTTP means the same events as what nodes publish."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from model_registry.entities.deployment import Deployment
from model_registry.errors import Invalid, UnknownReference
from model_registry.fleet.reports import DeploymentReport, StatusReport
from model_registry.snapshot.snapshot import Snapshot

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PROVIDER = "00000000-0000-4000-8000-000000000001"
MODEL = "00000000-0000-4000-8000-000000000002"
UNKNOWN = "00000000-0000-4000-8000-000000000003"

SNAPSHOT = Snapshot.from_document(
    {
        "registry_id": "r",
        "revision": 7,
        "tables": {
            "model_providers": [{"id": PROVIDER, "name": "local", "type": "ollama"}],
            "models": [{"id": MODEL, "provider_id": PROVIDER, "name": "qwen", "model_id": "qwen3:8b"}],
        },
    }
)

DEPLOYMENT = Deployment(
    id="d",
    node_id="gpu-a",
    provider_type="ollama",
    announced_model="qwen3:8b",
    model_id=MODEL,
    vram_allocated_mb=6144,
    endpoint="http://gpu-a:11434",
    metadata={"model_name": "q"},
)


def report(**fields: Any) -> DeploymentReport:
    return DeploymentReport(**{"node_id": "gpu-a", "model_id": "qwen3:8b", "provider_type": "ollama", **fields})


def test_a_report_by_the_nodes_own_name_of_the_model_carries_no_link() -> None:
    event = report(vram_allocated_mb=6144, endpoint="http://gpu-a:11434").event(SNAPSHOT, NOW)

    assert (event.node_id, event.provider_type, event.announced_model) == ("gpu-a", "ollama", "qwen3:8b")
    assert (event.model_id, event.status, event.vram_allocated_mb) == (None, "loaded", 6144)
    assert (event.endpoint, event.event_at) == ("http://gpu-a:11434", NOW)


@pytest.mark.parametrize("written", [MODEL, MODEL.upper()])
def test_a_report_by_id_means_what_the_provider_calls_the_model(written: str) -> None:
    event = report(model_id=written, provider_type=None).event(SNAPSHOT, NOW)

    assert (event.provider_type, event.announced_model, event.model_id) == ("ollama", "qwen3:8b", MODEL)


def test_the_type_that_is_reported_wins_over_the_catalogues() -> None:
    assert report(model_id=MODEL, provider_type="vllm").event(SNAPSHOT, NOW).provider_type == "vllm"


def test_an_id_that_no_model_has_is_an_unknown_reference() -> None:
    with pytest.raises(UnknownReference) as caught:
        report(model_id=UNKNOWN).event(SNAPSHOT, NOW)

    assert [reason.where for reason in caught.value.reasons] == ["model_id"]


def test_a_model_that_is_not_an_id_needs_its_providers_type() -> None:
    with pytest.raises(Invalid) as caught:
        report(provider_type=None).event(SNAPSHOT, NOW)

    assert [reason.where for reason in caught.value.reasons] == ["provider_type"]


@pytest.mark.parametrize(
    ("given", "counts"),
    [
        (None, NOW),
        ("2025-01-15T12:00:00Z", datetime(2025, 1, 15, 12, tzinfo=UTC)),
        ("2025-01-15T12:00:00", datetime(2025, 1, 15, 12, tzinfo=UTC)),
        (1709568000, datetime(2024, 3, 4, 16, tzinfo=UTC)),
        ((NOW + timedelta(minutes=1)).isoformat(), NOW + timedelta(minutes=1)),
        ("2999-01-01T00:00:00Z", NOW),
    ],
)
def test_a_reports_time_follows_the_rules_of_events(given: Any, counts: datetime) -> None:
    """A time far ahead would win over everything the node says until then."""
    assert report(timestamp=given).event(SNAPSHOT, NOW).event_at == counts
    assert StatusReport(status="unloaded", timestamp=given).event(DEPLOYMENT, NOW).event_at == counts


@pytest.mark.parametrize("given", [True, "yesterday", "", -1, "0001-01-01T00:00:00Z", []])
def test_what_is_not_a_time_is_refused(given: Any) -> None:
    with pytest.raises(ValidationError, match="is not a time"):
        report(timestamp=given)


@pytest.mark.parametrize(
    "fields",
    [
        {"node_id": ""},
        {"node_id": "a\0b"},
        {"model_id": "x" * 301},
        {"provider_type": ""},
        {"provider_type": "a\0b"},
        {"provider_type": "x" * 65},
        {"status": "ready"},
        {"vram_allocated_mb": -1},
        {"vram_allocated_mb": 2**31},
        {"endpoint": "a\0b"},
        {"error_message": "x" * 4001},
        {"metadata": {"a": "\0"}},
        {"metadata": {"a": float("nan")}},
    ],
    ids=str,
)
def test_what_the_database_would_refuse_is_refused_before(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        report(**fields)


def test_fields_that_we_do_not_know_are_ignored() -> None:
    assert report(gpu="RTX 5090").event(SNAPSHOT, NOW) == report().event(SNAPSHOT, NOW)


def test_a_status_report_changes_the_status_and_leaves_what_it_does_not_say() -> None:
    event = StatusReport(status="error", error_message="out of memory").event(DEPLOYMENT, NOW)
    said = {"status", "error_message", "event_at", "loaded_at"}

    assert {name: value for name, value in asdict(event).items() if name not in said} == {
        "node_id": "gpu-a",
        "provider_type": "ollama",
        "announced_model": "qwen3:8b",
        "model_id": None,  # it names no row: the links stay as they are
        "vram_allocated_mb": 6144,
        "endpoint": "http://gpu-a:11434",
        "metadata": {"model_name": "q"},
    }
    assert (event.status, event.error_message, event.event_at) == ("error", "out of memory", NOW)


def test_a_status_report_can_free_all_memory() -> None:
    assert StatusReport(status="unloaded", vram_allocated_mb=0).event(DEPLOYMENT, NOW).vram_allocated_mb == 0
