"""A snapshot is immutable: deriving later ones leaves it unchanged."""

from __future__ import annotations

from typing import Any

from model_registry.entities.change import Action, Change, Operation
from model_registry.entities.model import Model
from model_registry.snapshot.snapshot import Snapshot
from model_registry.snapshot.table_specs import SPECS
from support.catalogues import Catalogue, contents, stored


def change(revision: int, table: str, row: dict[str, Any] | None, row_id: str) -> Change:
    operation: Action = "delete" if row is None else "insert"
    return Change(revision, "2026-01-01T00:00:00Z", "a", None, table, row_id, operation, row and {**row, "id": row_id})


def test_a_snapshot_survives_being_written_down() -> None:
    snapshot = stored().snapshot()

    assert contents(Snapshot.from_document(snapshot.document())) == contents(snapshot)


def test_a_document_of_an_older_version_may_lack_tables_and_columns() -> None:
    row = {"id": "1", "name": "p", "type": "vllm", "colour": "of a newer version"}

    snapshot = Snapshot.from_document({"registry_id": "r", "revision": 3, "tables": {"model_providers": [row]}})

    assert [p.name for p in snapshot.providers] == ["p"]
    assert set(snapshot.tables) == set(SPECS)


def test_changes_that_were_seen_already_count_for_nothing() -> None:
    provider = {"name": "p", "type": "vllm"}
    snapshot = Snapshot.empty().advanced(2, [change(1, "model_providers", provider, "1")])

    again = snapshot.advanced(3, [change(1, "model_providers", {**provider, "name": "old"}, "1")])

    assert [p.name for p in again.providers] == ["p"]
    assert again.revision == 3
    assert snapshot.advanced(2, [change(2, "model_providers", None, "1")]) is snapshot
    assert snapshot.advanced(1, []) is snapshot


def test_the_last_of_several_changes_of_a_row_counts() -> None:
    provider = {"name": "p", "type": "vllm"}
    changes = [
        change(1, "model_providers", provider, "1"),
        change(2, "model_providers", {**provider, "name": "q"}, "1"),
        change(3, "model_providers", provider, "2"),
        change(4, "model_providers", None, "2"),
    ]

    snapshot = Snapshot.empty().advanced(4, changes)

    assert [(p.id, p.name) for p in snapshot.providers] == [("1", "q")]
    assert snapshot.providers.where("name", "p") == []


def test_changes_of_tables_that_this_version_does_not_know_are_passed_over() -> None:
    snapshot = Snapshot.empty().advanced(7, [change(7, "of_a_newer_version", {"x": 1}, "1")])

    assert snapshot.revision == 7
    assert contents(snapshot) == contents(Snapshot.empty())


def test_a_change_leaves_the_tables_it_does_not_touch() -> None:
    before = stored().snapshot()

    after = before.advanced(1, [change(1, "config_files", {"path": "a", "content": "b"}, "1")])

    assert [f.path for f in after.files] == ["a"]
    assert len(before.files) == 0
    assert all(after.tables[name] is before.tables[name] for name in SPECS if name != "config_files")


def test_a_preview_makes_a_function_for_a_mapping_and_names_it() -> None:
    catalogue = Catalogue()
    model = catalogue.model(catalogue.provider())
    catalogue.mapping(model, "a")
    catalogue.mapping(model, "b")
    catalogue.mapping(model, "c", service_name="tensorzero", function_name="f")

    snapshot = catalogue.snapshot()

    assert [(f.service_name, f.function_name, f.name) for f in snapshot.functions] == [
        ("svc", "chat", "svc_chat"),
        ("tensorzero", "f", "f"),
    ]


def test_a_preview_moves_mappings_with_their_function() -> None:
    catalogue = Catalogue()
    function = catalogue.function()
    mapping = catalogue.mapping(catalogue.model(catalogue.provider()))

    snapshot = catalogue.snapshot().preview([Operation("functions", "update", function, {"service_name": "new"})])

    assert (snapshot.mappings[mapping].service_name, snapshot.functions[function].name) == ("new", "svc_chat")
    assert [m.id for m in snapshot.mappings.where("service", "new")] == [mapping]
    assert snapshot.mappings.where("service", "svc") == []


def test_a_preview_of_a_function_without_a_name_gives_it_the_usual_one() -> None:
    catalogue = Catalogue()
    function = catalogue.function(name="nice")

    snapshot = catalogue.snapshot().preview([Operation("functions", "update", function, {"name": None})])

    assert snapshot.functions[function].name == "svc_chat"


def test_a_preview_of_changes_to_rows_that_are_not_there_is_nothing() -> None:
    before = stored().snapshot()
    operations = [Operation("models", "update", "x", {"name": "y"}), Operation("models", "delete", "x")]

    assert contents(before.preview(operations)) == contents(before)
    assert before.preview(operations).revision == before.revision


def test_rows_share_the_note_of_which_columns_they_have_and_are_what_pydantic_makes_of_them() -> None:
    columns = {"id": "m1", "provider_id": "p1", "name": "x", "model_id": "y", "metadata": {"a": [1]}}

    first, second = (Model.read({**columns, "id": row_id}) for row_id in ("m1", "m2"))

    assert first.model_fields_set is second.model_fields_set
    assert first == Model.model_validate(columns)
    assert first.model_dump() == Model.model_validate(columns).model_dump()
    assert first.metadata is not second.metadata
