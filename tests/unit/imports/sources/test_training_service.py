"""The models of training services as offers: whole entries, known facts, and a reason for what is left out."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.catalog.training_models import find_entry
from model_registry.catalog.training_views import comparison_view, guide_view, list_view
from model_registry.entities.model import Model
from model_registry.errors import SourceUnreadable
from model_registry.gateways.tensorzero.rendering.provider_tables import why_left_out
from model_registry.imports.offers import plan_offers
from model_registry.imports.plan import ImportPlan
from model_registry.imports.sources.training_service import SOURCE, facts_of, read_training_models
from model_registry.snapshot.snapshot import Snapshot
from support.training_entries import DOCUMENTS, ENTRIES

IDS = count()


def planned(snapshot: Snapshot, document: Any, provider: str, framework: str | None = None) -> ImportPlan:
    content = read_training_models(document, framework=framework, provider=provider, api_base=f"http://{provider}:8001")
    assert content.unread == content.passed_over == ()
    return plan_offers(snapshot, content.offers, SOURCE, lambda: f"new-{next(IDS)}")


def with_all() -> Snapshot:
    snapshot = Snapshot.empty()
    for framework, document in DOCUMENTS.items():
        snapshot = snapshot.preview(planned(snapshot, document, framework).operations)
    return snapshot


def test_the_ten_entries_arrive_equal_field_by_field() -> None:
    kept = {(m.card["framework"], m.model_id): m.card["training_entry"] for m in with_all().models}

    assert len(ENTRIES) == 10
    assert kept == ENTRIES
    for entry in ENTRIES.values():  # 97.0 stays 97.0, also where 97 is equal
        assert json.dumps(kept[entry["framework"], entry["model_name"]], sort_keys=True) == json.dumps(
            entry, sort_keys=True
        )


def test_a_second_import_changes_nothing() -> None:
    snapshot = with_all()
    for framework, document in DOCUMENTS.items():
        plan = planned(snapshot, document, framework)
        assert plan.operations == ()
        assert plan.count("unchanged") == len(document["models"])


def test_known_facts_become_fields_of_the_catalogue() -> None:
    (model,) = with_all().models.where("model_id", "yolo11n")

    assert (model.model_type, model.status, model.capabilities) == ("other", "active", ["training", "inference"])
    assert (model.card["display_name"], model.card["parameters"]) == ("YOLOv11 Nano", "2.6M")
    assert model.card["task_types"] == ["object_detection"]
    assert model.card["training_defaults"]["hyperparameters"] == {"batch_size": 64, "learning_rate": 0.01}
    assert model.card["benchmarks"]["coco_map50"] == {"score": 52.1}
    assert "inference_speed_unit" not in model.card["benchmarks"]
    assert model.field_sources["training_entry"] == SOURCE


def test_no_gateway_gets_them_even_when_they_are_active() -> None:
    snapshot = with_all()
    for model in snapshot.models:
        provider = snapshot.providers[model.provider_id].model_copy(update={"active": True})
        assert why_left_out(model.model_copy(update={"active": True}), provider)


@pytest.mark.parametrize(
    ("field", "value", "left_out", "reason"),
    [
        ("params", "a few", "parameters", "must match the pattern"),
        ("status", "retired", "status", "not allowed"),
        ("tags", "a,b", "tags", "must be a list"),
        ("task_types", [1], "task_types", "must be a string"),
        ("display_name", "x" * 201, "display_name", "at most 200 characters"),
    ],
)
def test_what_the_catalogue_cannot_hold_stays_in_the_entry_and_is_said(
    field: str, value: Any, left_out: str, reason: str
) -> None:
    entry = {"framework": "f", "model_name": "m", "description": "d", field: value}
    fields, reasons = facts_of(entry)

    assert (fields["training_entry"], fields["description"]) == (entry, "d")
    assert list(reasons) == [left_out]
    assert reason in reasons[left_out]
    content = read_training_models([entry], framework=None, provider="p", api_base=None)
    assert plan_offers(Snapshot.empty(), content.offers, SOURCE, lambda: f"new-{next(IDS)}").count("created") == 2


def test_a_size_is_written_as_the_catalogue_writes_it() -> None:
    assert facts_of({"framework": "f", "model_name": "m", "params": "2.6 m"})[0]["parameters"] == "2.6M"


def test_what_the_source_no_longer_says_goes_and_what_people_set_stays() -> None:
    first = {"framework": "f", "model_name": "m", "tags": ["a"], "display_name": "Theirs"}
    snapshot = Snapshot.empty().preview(planned(Snapshot.empty(), [first], "p").operations)
    (model,) = snapshot.models
    edited = model.model_copy(
        update={
            "card": model.card | {"display_name": "Ours"},
            "field_sources": {k: v for k, v in model.field_sources.items() if k != "display_name"},
            "metadata": {"owner": "me"},
        }
    )
    snapshot = snapshot.with_rows({"models": [(edited.id, edited)]})
    (model,) = snapshot.preview(planned(snapshot, [{"framework": "f", "model_name": "m"}], "p").operations).models

    assert model.card["display_name"] == "Ours"
    assert "tags" not in model.card
    assert model.metadata == {"owner": "me"}
    assert model.card["training_entry"] == {"framework": "f", "model_name": "m"}


def test_two_frameworks_with_a_model_of_one_name_are_two_models() -> None:
    document = {"framework": "timm", "models": [{"model_name": "m"}, {"framework": "other", "model_name": "m"}]}
    plan = planned(Snapshot.empty(), document, "p")
    models: list[Model] = list(Snapshot.empty().preview(plan.operations).models)

    assert [model.model_id for model in models] == ["m", "other/m"]
    assert {model.card["framework"] for model in models} == {"timm", "other"}


def test_a_source_of_one_framework_passes_over_models_of_others() -> None:
    rows = [{"model_name": "a"}, {"framework": "timm", "model_name": "b"}, {"framework": "other", "model_name": "c"}]
    content = read_training_models(rows, framework="timm", provider="p", api_base=None)

    assert [offer.model_id for offer in content.offers] == ["a", "b"]
    (passed,) = content.passed_over
    assert (passed.name, passed.reason) == ("other/c", "is of another framework than timm")


@pytest.mark.parametrize("answer", [{"error": {"message": "no"}}, {"detail": "Not Found"}, {"timm": {"a": {}}}])
def test_an_answer_without_a_list_is_none_of_a_service(answer: Any) -> None:
    with pytest.raises(SourceUnreadable, match="http://p/models/list answers without a list"):
        read_training_models(answer, framework="f", provider="p", api_base="http://p")


odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["x" * 300, "2.6M"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = (
    *("display_name", "description", "params", "input_size", "task_types", "pretrained_available", "tags", "priority"),
    *("recommended_batch_size", "recommended_lr", "status", "inference_only", "benchmark", "model_id", "alternatives"),
)


@pytest.mark.property
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, odd)))
def test_an_entry_with_odd_values_is_kept_whole_and_shown_or_has_a_reason(values: dict[str, Any]) -> None:
    document = [{"framework": "huggingface", "model_name": "a/b"} | values, {"framework": "f", "model_name": "good"}]
    content = read_training_models(document, framework=None, provider="p", api_base=None)
    plan = plan_offers(Snapshot.empty(), content.offers, SOURCE, lambda: f"new-{next(IDS)}")
    snapshot = Snapshot.empty().preview(plan.operations)

    skipped = [entry.detail for entry in plan.report if entry.action == "skipped"]
    kept = {model.model_id: model for model in snapshot.models}
    assert len(kept) + len(skipped) + len(content.unread) == 2
    assert all(skipped)
    assert "good" in kept
    if "a/b" in kept:
        assert kept["a/b"].card["training_entry"] == document[0]
        entry = find_entry(snapshot, "huggingface", "a/b")
        assert entry == document[0]
        json.dumps([list_view(entry), guide_view(entry), comparison_view(entry)])
