"""The search for the rows at fault: exactly those, whatever the reasons name, and within its limits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.errors import Reason
from model_registry.gateways.publishing.exclusions import Part
from model_registry.gateways.publishing.fault_search import MANY, FaultSearch, Named, SearchLimit
from model_registry.snapshot.snapshot import Snapshot


def part(number: int) -> Part:
    return Part("models", f"{number:03}")


@dataclass(frozen=True)
class Result:
    reasons: tuple[Reason, ...] = ()
    crashed: bool = False

    @property
    def accepted(self) -> bool:
        return not self.reasons


@dataclass
class World:
    """Rows in a row; a configuration is refused while it has a bad one, or all of a quarrel."""

    rows: int
    bad: frozenset[int] = frozenset()
    quarrels: tuple[frozenset[int], ...] = ()
    named: bool = False
    """Whether the reason names the first bad row, as a gateway does."""
    all_named: bool = False
    """Whether it names all, as the rules do."""
    mistaken: int | None = None
    """A good row that is named as likely whenever something is refused."""
    owned: frozenset[int] = frozenset()
    checks: int = 0
    settings_broken: bool = False
    crashing: frozenset[int] = frozenset()
    """Rows with which validation comes to no end."""
    overloaded: tuple[int, int] = (0, 0)
    """For the first so many checks the machine is too slow for more than so many rows."""

    async def validate(self, parts: frozenset[Part]) -> Result:
        self.checks += 1
        there = {
            number for number in range(self.rows) if part(number) not in parts and not self._owner_out(number, parts)
        }
        if self.crashing & there or (self.checks <= self.overloaded[0] and len(there) > self.overloaded[1]):
            return Result((Reason("", "crashes or hangs"),), crashed=True)
        faults = sorted(self.bad & there) + [min(q) for q in self.quarrels if q <= there]
        if self.settings_broken or faults:
            named = faults if self.all_named else faults[:1]
            return Result(tuple(Reason("", str(fault)) for fault in named if self.named) or (Reason("", "refused"),))
        return Result()

    def _owner_out(self, number: int, parts: frozenset[Part]) -> bool:
        return number in self.owned and Part("model_providers", "p") in parts

    def parts(self, snapshot: Snapshot) -> Sequence[Part]:  # noqa: ARG002 (as the search asks)
        return [part(number) for number in range(self.rows)]

    def named_parts(self, reasons: Iterable[Reason]) -> list[Named]:
        certain = [Named(part(int(r.message)), r, certain=True) for r in reasons if r.message.isdecimal()]
        likely = [] if self.mistaken is None else [Named(part(self.mistaken), Reason("", "?"), certain=False)]
        return certain + likely

    def owner(self, snapshot: Snapshot, part: Part) -> Part | None:  # noqa: ARG002 (as the search asks)
        return Part("model_providers", "p") if part.table == "models" and int(part.row_id) in self.owned else None


class Suspects:
    def __init__(self, world: World) -> None:
        self.parts, self.owner, self._world = world.parts, world.owner, world

    def named(self, snapshot: Snapshot, reasons: Iterable[Reason]) -> Sequence[Named]:  # noqa: ARG002 (as the search asks)
        return self._world.named_parts(reasons)


def found(
    world: World, released: Iterable[int] = (), changed: Iterable[int] = (), most_checks: int = 10_000
) -> tuple[bool, set[str]]:
    """Whether a configuration is accepted in the end, and what is left out of it."""
    search: FaultSearch[Result] = FaultSearch(
        Snapshot.empty(), Suspects(world), world.validate, most_checks=most_checks
    )
    recent = {part(number) for number in changed}
    accepted = asyncio.run(search.run([part(number) for number in released], recent.__contains__))
    assert accepted is None or accepted.accepted
    assert all(search.refused.values()), "each with a reason"
    return accepted is not None, {one.row_id for one in search.refused}


def ids(*numbers: int) -> set[str]:
    return {f"{number:03}" for number in numbers}


@given(st.data(), st.integers(1, 40))
def test_exactly_the_bad_rows_are_found(data: st.DataObject, rows: int) -> None:
    named = data.draw(st.booleans())
    bad = data.draw(st.frozensets(st.integers(0, rows - 1), max_size=MANY))
    changed = data.draw(st.sets(st.integers(0, rows - 1)))
    released = data.draw(st.sets(st.integers(0, rows - 1), max_size=5))
    mistaken = data.draw(st.none() | st.integers(0, rows - 1))
    world = World(rows, bad, named=named, mistaken=mistaken)

    assert found(world, released, changed) == (True, ids(*bad))


@given(st.data(), st.integers(2, 20))
def test_of_rows_that_do_not_go_together_not_more_are_left_out_than_must(data: st.DataObject, rows: int) -> None:
    numbers = st.integers(0, rows - 1)
    quarrels = data.draw(st.lists(st.frozensets(numbers, min_size=2, max_size=3), max_size=3))
    accepted, out = found(World(rows, quarrels=tuple(quarrels)))

    assert accepted
    there = {number for number in range(rows) if f"{number:03}" not in out}
    assert not any(quarrel <= there for quarrel in quarrels)
    for number in map(int, out):  # each is needed
        assert any(quarrel <= there | {number} for quarrel in quarrels)


def test_one_bad_row_among_a_thousand_takes_few_checks() -> None:
    named, unnamed, recent = (World(1000, frozenset({517}), named=name) for name in (True, False, False))

    assert found(named) == found(unnamed) == found(recent, changed=(3, 517, 800)) == (True, ids(517))
    assert (named.checks, recent.checks <= 6, unnamed.checks <= 22) == (2, True, True)


def test_what_is_known_to_be_refused_takes_no_search() -> None:
    world = World(1000, frozenset({517}))

    assert found(world, released=(517,)) == (True, ids(517))
    assert world.checks == 2


def test_a_mistake_in_no_row_holds_everything_back_and_is_found_out_soon() -> None:
    world = World(1000, settings_broken=True)

    assert found(world) == (False, set())
    assert world.checks == 2


def test_an_owner_goes_when_many_of_its_rows_do() -> None:
    world = World(300, frozenset(range(100, 300)), named=True, owned=frozenset(range(100, 300)))

    assert found(world) == (True, {"p"})
    assert world.checks <= MANY + 2
    fewer = World(300, frozenset(range(100, 100 + MANY - 1)), named=True, owned=frozenset(range(100, 300)))
    assert found(fewer)[1] == ids(*fewer.bad)
    at_once = World(300, frozenset(range(100, 300)), named=True, all_named=True, owned=frozenset(range(100, 300)))
    assert (found(at_once), at_once.checks) == ((True, {"p"}), 2)
    unnamed = World(300, frozenset(range(100, 300)), owned=frozenset(range(100, 300)))
    assert found(unnamed) == (True, {"p"})


def test_a_recent_row_with_which_validation_crashes_is_left_out() -> None:
    world = World(1000, crashing=frozenset({517}))

    assert found(world, changed=(3, 517, 800)) == (True, ids(517))
    assert found(world, released=(517,), changed=range(1000)) == (True, ids(517))


def test_no_row_is_blamed_for_a_machine_that_is_too_slow() -> None:
    for checks in range(1, 30):
        accepted, out = found(World(1000, overloaded=(checks, 600)), changed=range(500))
        assert out == set(), (checks, accepted)
    assert found(World(1000, overloaded=(10_000, 600)), changed=range(1000)) == (False, set())


def test_what_crashes_only_during_the_search_ends_it() -> None:
    class Slower(World):
        async def validate(self, parts: frozenset[Part]) -> Result:
            result = await super().validate(parts)
            return result if self.checks <= 3 or result.accepted else Result(result.reasons, crashed=True)

    with pytest.raises(SearchLimit):
        found(Slower(1000, frozenset({517})))


def test_the_search_has_a_limit_and_keeps_what_it_has() -> None:
    world = World(100, frozenset(range(50)))
    search: FaultSearch[Result] = FaultSearch(Snapshot.empty(), Suspects(world), world.validate, most_checks=20)
    with pytest.raises(SearchLimit):
        asyncio.run(search.run([], lambda _: False))

    assert world.checks == 20
    assert search.refused.keys() <= {part(number) for number in range(50)}
    assert search.refused
    late: FaultSearch[Result] = FaultSearch(Snapshot.empty(), Suspects(world), world.validate, most_seconds=-1)
    with pytest.raises(SearchLimit):
        asyncio.run(late.run([], lambda _: False))
