"""What the guard refuses and accepts. tests/acceptance checks that the gateway agrees."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from model_registry.entities.change import Operation
from model_registry.errors import InvalidConfiguration
from model_registry.gateways.tensorzero.rendering.function_tables import function_views
from model_registry.gateways.tensorzero.rules.write_guard import refuse_bad_configuration
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import DRAFTS, Catalogue, stored
from support.drawn import Drawn, catalogues
from support.profiles import large_examples
from support.refusals import REFUSALS, Refusal, good_catalogue


def refusal(before: Snapshot, operations: list[Operation]) -> InvalidConfiguration:
    with pytest.raises(InvalidConfiguration) as caught:
        refuse_bad_configuration(before, operations)
    return caught.value


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.name)
def test_what_the_gateway_would_refuse_or_misread_is_refused_with_the_reason(case: Refusal) -> None:
    catalogue, ids = good_catalogue()
    refuse_bad_configuration(Snapshot.empty(), catalogue.operations)
    before, known = catalogue.snapshot(), len(catalogue.operations)
    case.write(catalogue, ids)
    error = refusal(before, catalogue.operations[known:])
    assert any(case.says in str(reason) for reason in error.reasons), error.reasons
    assert all(reason.where and reason.message for reason in error.reasons)
    assert len(error.reasons) == 1 or case.name in _SEVERAL_THINGS, error.reasons


_SEVERAL_THINGS = {"no location and project", "half a pair of AWS keys", "old form of a key's place"}


def test_a_production_catalogue_goes_in_at_once_and_row_by_row() -> None:
    operations = stored().operations
    refuse_bad_configuration(Snapshot.empty(), operations)
    snapshot = Snapshot.empty()
    for operation in operations:
        refuse_bad_configuration(snapshot, [operation])
        snapshot = snapshot.preview([operation])


def test_what_has_nothing_to_do_with_the_configuration_is_not_looked_at() -> None:
    bad = Operation("gpu_nodes", "insert", "n", {"nonsense": True})
    refuse_bad_configuration(Snapshot.empty(), [bad])


def test_a_new_model_that_is_not_active_is_refused_for_its_own_columns_too() -> None:
    catalogue, ids = good_catalogue()
    before, known = catalogue.snapshot(), len(catalogue.operations)
    catalogue.model(ids["local"], "good", active=False)
    catalogue.model(ids["local"], "bad", active=False, tensorzero={"provider": {"zzz": 1}})

    error = refusal(before, catalogue.operations[known:])
    assert {reason.where.split(".")[1] for reason in error.reasons} == {"bad"}


def test_a_new_model_that_the_same_write_makes_active_is_looked_at() -> None:
    catalogue, ids = good_catalogue()
    before, known = catalogue.snapshot(), len(catalogue.operations)
    twins = [catalogue.model(ids["local"], "twin", active=False, model_id=f"m{n}") for n in range(2)]
    asleep = catalogue.operations[known:]
    refuse_bad_configuration(before, asleep)

    refusal(before, [*asleep, *(Operation("models", "update", twin, {"active": True}) for twin in twins)])


def test_what_was_wrong_before_does_not_block_other_changes() -> None:
    catalogue, ids = good_catalogue()
    broken = catalogue.model(ids["local"], "broken", tensorzero={"provider": {"zzz": 1}})
    before = catalogue.snapshot()
    refuse_bad_configuration(before, [Operation("models", "update", broken, {"description": "still broken"})])
    refuse_bad_configuration(
        before, [Operation("model_providers", "update", ids["local"], {"api_base": "http://h/v1"})]
    )
    refuse_bad_configuration(before, [Operation("models", "update", broken, {"tensorzero": {}})])
    worse = {"provider": {"zzz": 1, "yyy": 2}}
    assert [
        r.where for r in refusal(before, [Operation("models", "update", broken, {"tensorzero": worse})]).reasons
    ] == ["models.broken.tensorzero.provider.yyy"]


def test_switching_off_what_others_only_prefer_is_let_through() -> None:
    catalogue = stored()
    snapshot = catalogue.snapshot()
    for provider in snapshot.providers:
        refuse_bad_configuration(snapshot, [Operation("model_providers", "update", provider.id, {"active": False})])


def test_what_a_function_names_in_its_own_keys_cannot_go_away() -> None:
    """No reference in the database protects what stands there as text."""
    catalogue, ids = good_catalogue()
    judge = catalogue.model(ids["local"], "judge")
    best = {"type": "experimental_best_of_n_sampling", "candidates": ["v"], "evaluator": {"model": "judge"}}
    catalogue.function("new", tensorzero={"variants": {"b": best}, "tools": ["t"]})
    catalogue.mapping(ids["m"], "v", function_name="new", tensorzero={"system_template": "./a.minijinja"})
    tools = {"name": "tools", "value": {"t": {"description": "d", "parameters": "a.minijinja"}}}
    catalogue.operations.append(Operation("config_sections", "insert", "s", tools))
    catalogue.operations.append(Operation("config_files", "insert", "f", {"path": "a.minijinja", "content": "x"}))
    refuse_bad_configuration(Snapshot.empty(), catalogue.operations)
    before = catalogue.snapshot()
    for operation, says in (
        (Operation("models", "update", judge, {"active": False}), "the model 'judge' is not in the configuration"),
        (Operation("models", "update", judge, {"name": "other"}), "the model 'judge' is not in the configuration"),
        (
            Operation("models", "update", judge, {"tensorzero": {"model": {"namespace": ""}}}),
            "must be a name: not empty",
        ),
        (Operation("config_sections", "delete", "s"), "the tool 't'"),
        (Operation("config_files", "delete", "f"), "holds no file"),
    ):
        assert says in str(refusal(before, [operation]))


def test_what_one_row_says_holds_for_the_functions_of_all_rows_that_share_its_name() -> None:
    catalogue, ids = good_catalogue()
    sibling = catalogue.model(catalogue.provider("second"), "m")
    before = catalogue.snapshot()
    moved = Operation("models", "update", sibling, {"tensorzero": {"model": {"namespace": "n"}}})
    assert "belongs to the namespace 'n'" in str(refusal(before, [moved]))
    refuse_bad_configuration(before, [Operation("models", "update", ids["m"], {"active": False})])


def test_steps_of_one_write_are_checked_together() -> None:
    catalogue, ids = good_catalogue()
    before, known = catalogue.snapshot(), len(catalogue.operations)
    catalogue.alias(ids["e"], "m")  # a chat model has the name, and embedding models are another table
    catalogue.operations.append(Operation("models", "update", ids["m"], {"name": "renamed"}))
    catalogue.alias(ids["m"], "m", "tensorzero")
    refuse_bad_configuration(before, catalogue.operations[known:])


@large_examples()
@given(drawn=catalogues(guarded=False))
def test_writing_a_row_as_it_is_makes_nothing_worse_however_odd_the_rows(drawn: Drawn) -> None:
    for name in DRAFTS:
        same = [Operation(name, "update", row.id, {}) for row in drawn.snapshot.tables[name]]
        refuse_bad_configuration(drawn.snapshot, same)
    function_views(drawn.snapshot)


@pytest.mark.parametrize(
    ("columns", "experimentation"),
    [
        ({}, {}),
        ({"tensorzero": {"temperature": None}}, {}),
        ({"tensorzero": {"temperature": 0.2, "max_tokens": 5, "retries": {"num_retries": 2, "max_delay_s": 1.5}}}, {}),
        ({"weight": 0.0, "fallback_model_id": "e"}, {}),
        ({}, {"type": "uniform"}),
        ({}, {"type": "static", "candidate_variants": ["v"], "namespaces": {"n": {"type": "uniform"}}}),
    ],
)
def test_what_the_gateway_can_use_is_let_through(columns: dict[str, Any], experimentation: dict[str, Any]) -> None:
    catalogue = Catalogue()
    local = catalogue.provider()
    m = catalogue.model(local, "m")
    catalogue.model(local, "second")
    e = catalogue.model(local, "e", model_type="embedding")
    if columns.get("fallback_model_id") == "e":
        columns = {**columns, "fallback_model_id": e, "weight": 1.0}
    catalogue.function("chat", tensorzero={"experimentation": experimentation} if experimentation else {})
    catalogue.mapping(m, "v", **columns)
    refuse_bad_configuration(Snapshot.empty(), catalogue.operations)
