"""A sequence in sorted chunks equals a sorted list, and its next version shares all chunks but one."""

from __future__ import annotations

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from model_registry.snapshot.sorted_chunks import added, chunked, removed


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
