"""A table's next version equals a table built from scratch, and leaves the previous one unchanged."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from immutables import Map

from model_registry.entities.base import Row
from model_registry.snapshot.table import Table, TableSpec, added, chunked, removed


class Thing(Row):
    """A row with something to sort by and something to find it by."""

    name: str
    tags: tuple[str, ...] = ()


# As if it were large: patched however few rows there are, in pieces of two.
SPEC = TableSpec(
    "things",
    Thing,
    lambda r: (r.name, r.id),
    {"name": lambda r: (r.name,), "tag": lambda r: r.tags},
    rebuild_share=0,
    chunk_size=2,
)

IDS = st.sampled_from([f"id {i}" for i in range(6)])
THINGS = st.builds(
    Thing, id=IDS, name=st.sampled_from("abc"), tags=st.lists(st.sampled_from("xyz"), unique=True).map(tuple)
)
CHANGES = THINGS.map(lambda thing: (thing.id, thing)) | IDS.map(lambda row_id: (row_id, None))


def table(rows: dict[str, Thing], spec: TableSpec[Thing] = SPEC) -> Table[Thing]:
    return Table(spec, Map(rows))


def contents(found: Table[Thing]) -> dict[str, Any]:
    """Everything that questions to a table can be answered with."""
    return {
        "rows": list(found),
        "number": len(found),
        "indexes": {index: {key: found.where(index, key) for key in found.keys(index)} for index in SPEC.indexes},
        "by id": [found.get(f"id {i}") for i in range(6)],
    }


@given(st.lists(THINGS), st.lists(st.lists(CHANGES, max_size=5), max_size=5))
def test_a_changed_table_is_the_table_made_anew(
    start: list[Thing], batches: list[list[tuple[str, Thing | None]]]
) -> None:
    rows = {thing.id: thing for thing in start}
    found = table(rows)
    for batch in batches:
        before, earlier = contents(found), found
        for row_id, thing in batch:
            if thing is None:
                rows.pop(row_id, None)
            else:
                rows[row_id] = thing

        found = found.changed(batch)

        assert contents(found) == contents(table(rows))
        assert contents(earlier) == before
        assert found.stamp is not earlier.stamp


@pytest.mark.parametrize("share", [0, 8], ids=["patched", "made anew"])
def test_many_changes_at_once_end_in_the_same_table(share: int) -> None:
    rows = {f"id {i}": Thing(id=f"id {i}", name=str(i % 7)) for i in range(300)}

    found = table({}, replace(SPEC, rebuild_share=share)).changed(list(rows.items()))
    fewer = found.changed([(f"id {i}", None) for i in range(6, 300)])

    assert contents(found) == contents(table(rows))
    assert contents(fewer) == contents(table({f"id {i}": rows[f"id {i}"] for i in range(6)}))


def test_what_is_not_there_is_not_found() -> None:
    found = table({"id 1": Thing(id="id 1", name="a", tags=("x",))})

    assert found.get("id 2") is None
    assert found.get(None) is None
    assert found.where("name", "b") == []
    assert list(found.changed([("id 1", None)]).keys("tag")) == []


BATCHES = st.lists(st.lists(CHANGES, max_size=3), max_size=3)


@given(st.lists(THINGS), st.tuples(BATCHES, BATCHES))
def test_what_may_differ_has_all_that_differs(
    start: list[Thing], branches: tuple[list[list[tuple[str, Thing | None]]], ...]
) -> None:
    one = other = table({thing.id: thing for thing in start})
    for batch in branches[0]:
        one = one.changed(batch)
    for batch in branches[1]:
        other = other.changed(batch)
    changed = {row_id for branch in branches for batch in branch for row_id, _ in batch}

    differing = {f"id {i}" for i in range(6) if one.get(f"id {i}") is not other.get(f"id {i}")}
    assert differing <= one.may_differ(other) <= changed
    assert one.may_differ(other) == other.may_differ(one)


def test_tables_that_do_not_come_from_another_may_differ_in_every_row() -> None:
    one = table({"a": Thing(id="a", name="a")})
    far = one
    for name in map(str, range(200)):
        far = far.changed([("a", Thing(id="a", name=name))])

    assert far.may_differ(one) == {"a"}
    assert one.may_differ(table({"b": Thing(id="b", name="b")})) == {"a", "b"}


@given(st.sets(st.integers(0, 40)), st.lists(st.integers(0, 40)))
def test_it_is_what_a_sorted_list_would_be(start: set[int], flipped: list[int]) -> None:
    items = {(number,) for number in start}
    found = chunked(sorted(items), size=2)
    for number in flipped:
        item = (number,)
        found = removed(found, item) if item in items else added(found, item, size=2)
        items ^= {item}

        assert list(chain.from_iterable(found)) == sorted(items)
        assert all(0 < len(chunk) < 4 for chunk in found)


def test_the_next_version_shares_all_pieces_but_one() -> None:
    before = chunked([(number,) for number in range(0, 20_000, 2)])
    more, fewer = added(before, (7_777,)), removed(before, (7_776,))

    for after in (more, fewer):
        assert len(set(map(id, before)) - set(map(id, after))) == 1
    assert max(map(len, before)) * 4 > len(before) > 1
