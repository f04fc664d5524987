"""The differences of two states of the configuration, and the operations that turn one into the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from typing import Any

from hypothesis import given

from model_registry.snapshot.difference import TABLES, RowChange, difference, restoring, sharing
from model_registry.snapshot.snapshot import Snapshot
from support.states import content, row_id, shown, state, states

REFERENCES = {
    "models": (("provider_id", "model_providers"),),
    "model_aliases": (("model_id", "models"),),
    "service_model_mappings": (("model_id", "models"), ("fallback_model_id", "models")),
}


def unique_keys(snapshot: Snapshot) -> Iterator[Hashable]:
    """Every key that the database keeps unique, as it stands in `migrations/0002_catalog.sql`."""
    yield from (("provider", r.name) for r in snapshot.providers)
    yield from (("model", r.provider_id, r.name) for r in snapshot.models)
    yield from (("alias", r.alias, r.context) for r in snapshot.aliases)
    yield from (("function", r.service_name, r.function_name) for r in snapshot.functions)
    yield from (("function name", r.name) for r in snapshot.functions)
    yield from (("mapping", r.service_name, r.function_name, r.variant_name) for r in snapshot.mappings)
    yield from (("section", r.name) for r in snapshot.sections)
    yield from (("file", r.path) for r in snapshot.files)


def broken(snapshot: Snapshot) -> list[str]:
    found = [f"{key} twice" for key, count in Counter(unique_keys(snapshot)).items() if count > 1]
    for table, references in REFERENCES.items():
        for row in snapshot.tables[table]:
            for column, target in references:
                wanted = getattr(row, column)
                if wanted is not None and snapshot.tables[target].get(wanted) is None:
                    found.append(f"{table}.{column} leads nowhere")
    keys = {(function.service_name, function.function_name) for function in snapshot.functions}
    orphans = [m for m in snapshot.mappings if (m.service_name, m.function_name) not in keys]
    return found + ["mapping without a function"] * len(orphans)


def applied(before: Snapshot, changes: list[RowChange]) -> dict[str, dict[str, dict[str, Any]]]:
    """The other state, from the difference alone."""
    tables = content(before)
    for change in changes:
        if change.change == "removed":
            del tables[change.table][change.id]
        else:
            tables[change.table].setdefault(change.id, {}).update({f.field: f.after for f in change.fields})
    return tables


@given(states(), states())
def test_no_step_of_the_way_breaks_a_constraint_and_its_end_is_the_other_state(now: Snapshot, target: Snapshot) -> None:
    reached = now
    for operation in restoring(now, target):
        if operation.action == "insert":
            assert reached.tables[operation.table].get(operation.id) is None
        else:
            assert reached.tables[operation.table].get(operation.id) is not None
        reached = reached.preview([operation])
        assert broken(reached) == []

    assert shown(reached) == shown(target)


@given(states(), states())
def test_a_difference_holds_all_that_makes_the_one_into_the_other(before: Snapshot, after: Snapshot) -> None:
    changes = difference(before, after)

    tables = applied(before, changes)

    rows = {name: [{"id": key, **row} for key, row in found.items()] for name, found in tables.items()}
    assert shown(state(rows)) == shown(after)
    assert [c for c in changes if c.change == "changed" and not c.fields] == []
    assert (changes == []) == (shown(before) == shown(after))


@given(states(), states())
def test_sharing_rows_with_another_state_changes_nothing(one: Snapshot, other: Snapshot) -> None:
    shared = sharing(one, other)

    assert shown(shared) == shown(one)
    for table in TABLES:
        for row in shared.tables[table]:
            twin = other.tables[table].get(row.id)
            assert (row is twin) == (twin is not None and repr(row) == repr(twin))


def test_equal_states_share_their_tables() -> None:
    one = state({"model_providers": [provider(1, "a")]})
    other = state({"model_providers": [provider(1, "a")]})

    assert sharing(one, other).providers is other.providers


def provider(number: int, name: str, **extra: Any) -> dict[str, Any]:
    return {"id": row_id("model_providers", number), "name": name, "type": "openai", **extra}


def test_rows_that_swap_their_names_do_it_by_way_of_a_third() -> None:
    one = state({"model_providers": [provider(1, "a"), provider(2, "b")]})
    other = state({"model_providers": [provider(1, "b"), provider(2, "a")]})

    operations = restoring(one, other)

    assert [o.action for o in operations] == ["update"] * 4
    assert {o.id for o in operations} == {row_id("model_providers", 1), row_id("model_providers", 2)}


def test_a_number_that_became_a_float_is_a_change() -> None:
    one = state({"model_providers": [provider(1, "a", tensorzero={"x": 1})]})
    other = state({"model_providers": [provider(1, "a", tensorzero={"x": 1.0})]})

    assert [f.field for c in difference(one, other) for f in c.fields] == ["tensorzero"]
    assert [o.row for o in restoring(one, other)] == [{"tensorzero": {"x": 1.0}}]


def test_what_only_got_a_new_version_is_no_change() -> None:
    one = state({"model_providers": [provider(1, "a", version=1, updated_at="2026")]})
    other = state({"model_providers": [provider(1, "a", version=7, updated_at="2027")]})

    assert difference(one, other) == []
    assert restoring(one, other) == []


def test_a_reference_is_shown_by_the_name_of_its_row() -> None:
    models = [
        {"id": row_id("models", n), "provider_id": row_id("model_providers", 1), "name": name, "model_id": name}
        for n, name in ((1, "small"), (2, "large"))
    ]
    alias = {"id": row_id("model_aliases", 1), "alias": "default", "context": "chat"}
    tables = {"model_providers": [provider(1, "local")], "models": models}
    one = state({**tables, "model_aliases": [{**alias, "model_id": models[0]["id"]}]})
    other = state({**tables, "model_aliases": [{**alias, "model_id": models[1]["id"]}]})

    (change,) = difference(one, other)

    assert (change.change, change.kind, change.name) == ("changed", "alias", "default in chat")
    assert [(f.field, f.before_name, f.after_name) for f in change.fields] == [
        ("model_id", "small at local", "large at local")
    ]
