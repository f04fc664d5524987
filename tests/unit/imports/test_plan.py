"""The planner shared by all imports: compares the wanted rows with the existing ones."""

from __future__ import annotations

import pytest

from model_registry.entities.change import Operation
from model_registry.entities.provider import Provider, ProviderDraft
from model_registry.errors import Invalid
from model_registry.imports.plan import ImportPlan, Planner, ReportEntry, WantedRow
from model_registry.snapshot.snapshot import Snapshot

EXISTING = Provider(id="p", name="lab", type="vllm", api_base="http://lab/v1", version=7)


def wanted(**values: object) -> WantedRow:
    return WantedRow("model_providers", "provider", "lab", values, summary="a new one", kept={"type": "set by hand"})


def planner(**options: object) -> Planner:
    return Planner(Snapshot.empty(), lambda: "new", **options)  # type: ignore[arg-type] # the options of a planner


def test_a_row_that_is_not_there_is_inserted_and_reported_with_its_summary() -> None:
    plan = planner()

    row_id = plan.upsert(wanted(name="lab"), None)

    entry = ReportEntry("created", "provider", "lab", "a new one", kept={"type": "set by hand"})
    assert row_id == "new"
    operation = Operation("model_providers", "insert", "new", {"name": "lab"})
    assert plan.plan() == ImportPlan((operation,), (entry,), kept=frozenset({"new"}))


def test_only_values_that_differ_are_updated_against_the_rows_version() -> None:
    plan = planner()

    assert plan.upsert(wanted(name="lab", api_base="http://other/v1"), EXISTING) == "p"

    assert plan.operations == [Operation("model_providers", "update", "p", {"api_base": "http://other/v1"}, 7)]
    (entry,) = plan.report
    assert (entry.action, entry.fields) == ("changed", ("api_base",))
    assert entry.detail == "api_base http://lab/v1 -> http://other/v1"


def test_equal_values_are_no_operation_and_types_count() -> None:
    plan = planner()
    row = EXISTING.model_copy(update={"tensorzero": {"share": 1}})

    plan.upsert(wanted(name="lab", tensorzero={"share": 1}), row)
    plan.upsert(wanted(tensorzero={"share": 1.0}), row)

    assert [entry.action for entry in plan.report] == ["unchanged", "changed"], "1 and 1.0 are two values to a gateway"
    assert plan.kept == {"p"}


def test_an_operation_that_the_guard_refuses_leaves_nothing_behind() -> None:
    def refuse(_: Operation) -> None:
        raise Invalid("no")

    plan = planner(guard=refuse)
    with pytest.raises(Invalid):
        plan.upsert(wanted(name="lab"), None)

    assert plan.plan() == ImportPlan((), ())
    assert plan.kept == set()


def test_what_a_draft_refuses_is_reported_by_its_key_and_an_old_rows_faults_are_not() -> None:
    problems: list[tuple[tuple[str, ...], str]] = []
    plan = planner(on_problem=lambda path, message: problems.append((path, message)))
    old = EXISTING.model_copy(update={"api_base": "no url"})
    row = WantedRow(
        "model_providers", "provider", "lab", {"api_key_env_var": "1"}, ("models", "m"), ProviderDraft,
        keys={"api_key_env_var": ("api_key_location",)},
    )  # fmt: skip

    plan.upsert(row, old)

    ((path, message),) = problems
    assert path == ("models", "m", "api_key_location")
    assert message.startswith("api key env var must be the name of an environment variable")


def test_a_short_report_counts_the_actions_that_are_asked_for() -> None:
    plan = planner()
    plan.upsert(wanted(name="lab"), None)
    plan.delete("model_providers", EXISTING, "provider", "lab", "the source does not have it")

    assert plan.plan().short_report("created", "changed", "removed") == {
        "report": [
            {"action": "created", "kind": "provider", "name": "lab", "detail": "a new one"},
            {"action": "removed", "kind": "provider", "name": "lab", "detail": "the source does not have it"},
        ],
        "created": 1,
        "changed": 0,
        "removed": 1,
    }
