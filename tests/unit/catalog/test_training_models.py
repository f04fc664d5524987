"""Which entry of a framework and name is shown: of people, then of the sources in order; and what is missing."""

from __future__ import annotations

from typing import Any

import pytest

from model_registry.catalog.training_models import entry_of, find_entry, find_entry_by_name
from model_registry.catalog.training_sources import header_list, partial_header
from model_registry.entities.model import Model
from model_registry.entities.source import Source, SourceAnswer
from model_registry.errors import ModelNotFound
from model_registry.selection.model_index import ModelIndex
from model_registry.selection.training_list import TrainingFilter, listed_models
from model_registry.snapshot.snapshot import Snapshot


def row(number: int, source: str | None, name: str = "m", **fields: Any) -> tuple[str, Model]:
    """A model whose entry is of a source, and says so; None: of a person."""
    entry = {"framework": "f", "model_name": name, "by": source or "people"}
    marks = {} if source is None else {"training_entry": source}
    columns = {"card": {"training_entry": entry}, "field_sources": marks, **fields}
    model = Model.model_validate(
        {"id": f"m{number}", "provider_id": "p", "name": f"{name}-{number}", "model_id": name, **columns}
    )
    return model.id, model


def source(name: str, kind: str, position: int = 0, **fields: Any) -> tuple[str, Source]:
    return f"id of {name}", Source(id=f"id of {name}", name=name, kind=kind, position=position, **fields)


def answered(name: str, state: str = "ok", **fields: Any) -> tuple[str, SourceAnswer]:
    return f"id of {name}", SourceAnswer(id=f"id of {name}", state=state, **fields)


SOURCES = [source("service", "training_service"), source("module", "module"), source("file", "file")]


def snapshot(*rows: tuple[str, Model], sources: Any = SOURCES, answers: Any = ()) -> Snapshot:
    return Snapshot.empty().with_rows({"models": rows, "model_sources": sources, "source_answers": answers})


def shown(of: Snapshot) -> list[str]:
    """Who the list's entries are by; the entry alone must agree."""
    listed = [entry_of(one.model) for one in listed_models(of, ModelIndex(of), TrainingFilter())]
    assert all(find_entry(of, entry["framework"], entry["model_name"]) == entry for entry in listed)
    return [entry["by"] for entry in listed]


@pytest.mark.parametrize(
    ("sources", "first"),
    [
        (("file", "service", "module"), "service"),
        (("file", "module"), "module"),
        (("file", "imported by hand", "module"), "imported by hand"),
        (("service", "imported by hand"), "service"),
        (("service", None), "people"),
        (("file",), "file"),
    ],
)
def test_a_lower_source_is_shown_only_where_no_higher_one_has_the_model(
    sources: tuple[str | None, ...], first: str
) -> None:
    assert shown(snapshot(*(row(number, name) for number, name in enumerate(sources)))) == [first]


def test_the_position_of_a_source_decides_before_its_kind() -> None:
    turned = [source("service", "training_service", 1), source("file", "file", 0)]

    assert shown(snapshot(row(1, "service"), row(2, "file"), sources=turned)) == ["file"]


def test_what_its_source_no_longer_lists_leaves_room_for_the_next_one() -> None:
    gone = {"missing_since": "2026-11-30T08:00:00Z"}

    assert shown(snapshot(row(1, "service", **gone), row(2, "file"))) == ["file"]
    alone = snapshot(row(1, "service", **gone))
    assert shown(alone) == []
    with pytest.raises(ModelNotFound, match="No source lists it any more"):
        find_entry(alone, "f", "m")
    with pytest.raises(ModelNotFound, match=r"'m' not found.*No source lists it any more"):
        find_entry_by_name(alone, "m")


def test_disabled_by_people_is_not_listed_and_by_the_source_is() -> None:
    by_source: dict[str, Any] = {"field_sources": {"training_entry": "service", "status": "service"}}

    assert shown(snapshot(row(1, "service", status="disabled"))) == []
    assert shown(snapshot(row(1, "service", status="disabled", **by_source))) == ["service"]


@pytest.mark.parametrize(
    ("entry", "columns", "marks", "expected"),
    [
        ({"tags": ["a"]}, {"card": {"tags": ["b"]}}, {}, {"tags": ["b"]}),
        ({"tags": ["a"]}, {"card": {"tags": ["b"]}}, {"tags": "s"}, {"tags": ["a"]}),
        ({"tags": ["a"]}, {"card": {"tags": ["b"]}}, {"tags": "csv"}, {"tags": ["b"]}),
        ({"tags": ["a"]}, {}, {"tags": "hand"}, {"tags": None}),
        ({"tags": ["a"]}, {}, {}, {"tags": ["a"]}),
        ({"description": "a"}, {"description": "b"}, {}, {"description": "b"}),
        ({"params": "a few"}, {"card": {"parameters": "3M"}}, {}, {"params": "3M"}),
        ({"status": "beta"}, {}, {}, {"status": "beta"}),
        ({"status": "beta"}, {"status": "deprecated"}, {}, {"status": "deprecated"}),
        ({"status": "experimental"}, {}, {}, {"status": "active"}),
        ({"status": "experimental"}, {"status": "experimental"}, {"status": "s"}, {"status": "experimental"}),
        ({}, {}, {}, {}),
        (
            {"recommended_lr": 0.1, "recommended_batch_size": 8},
            {"card": {"training_defaults": {"hyperparameters": {"learning_rate": 0.2}}}},
            {},
            {"recommended_lr": 0.2, "recommended_batch_size": 8},
        ),
    ],
)
def test_the_catalogues_value_wins_where_the_source_does_not_own_it(
    entry: dict[str, Any], columns: dict[str, Any], marks: dict[str, str], expected: dict[str, Any]
) -> None:
    names = {"framework": "f", "model_name": "m"}
    card = columns.get("card", {}) | {"training_entry": names | entry}
    fields = {"id": "1", "provider_id": "p", "name": "m", "model_id": "m"} | columns
    model = Model.model_validate(fields | {"card": card, "field_sources": {"training_entry": "s", **marks}})

    assert entry_of(model) == names | expected


def test_sources_that_fail_are_named_with_the_reason_and_since_when() -> None:
    sources = [*SOURCES, source("new", "training_service"), source("off", "file", active=False), source("o", "ollama")]
    answers = [
        answered("service", "failing", error='says "no"\n', last_good_at="2026-11-30T08:00:00+00:00"),
        answered("module"),
        answered("file", counts={"skipped": 3}),
        answered("o", "failing", error="no such list"),
    ]

    assert partial_header(snapshot(sources=sources, answers=answers)).split(", ") == [
        '"new";reason="has not answered yet"',
        '"service";reason="says \\"no\\"?";since="2026-11-30T08:00:00+00:00"',
        '"file";reason="3 of its entries are left out',
        'see /api/sources/file"',
    ]
    assert partial_header(snapshot(sources=[])) == ""


def test_a_header_stays_short() -> None:
    many = header_list((f"source {number}", {"reason": "é" * 1000}) for number in range(50))

    assert many.endswith('"...";more=30')
    assert len(many) < 6000
    assert many.isascii()
