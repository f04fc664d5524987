"""What an answer writes: models that are gone, back, or as they were; and which answers one write can hold."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from model_registry.catalog.sources import source_view
from model_registry.discovery.answer_plan import BEGUN, Answer, AnswerPlan, AnswerPlanner, together
from model_registry.entities.offer import Offer, PassedOver, SourceContent
from model_registry.entities.source import Source
from model_registry.snapshot.snapshot import Snapshot

MOMENT = "2026-11-30T09:00:00+00:00"


class World:
    """A registry that answers are written to."""

    def __init__(self) -> None:
        self.snapshot = Snapshot.empty()
        self.most = 2000
        self._ids = (f"00000000-0000-4000-8000-{number:012}" for number in count(1))

    def source(self, name: str) -> Source:
        row = {"id": next(self._ids), "name": name, "kind": "ollama", "address": f"http://{name}:1"}
        source = Source.model_validate(row)
        self.snapshot = self.snapshot.with_rows({"model_sources": [(source.id, source)]})
        return source

    def plan(self, source: Source, *names: str, unread: tuple[str, ...] = (), **more: Any) -> AnswerPlan:
        offers = tuple(
            Offer(
                provider="here",
                provider_type="ollama",
                api_base="http://here:1",
                model_id=name,
                fields={"parameters": "8B"},
            )
            for name in names
        )
        content = SourceContent(offers, unread=tuple(PassedOver(name, "odd") for name in unread))
        answer = Answer(source, "q", content, digest=" ".join(names), **more)
        return self.planner().plan(answer)

    def planner(self) -> AnswerPlanner:
        return AnswerPlanner(self.snapshot, MOMENT, lambda: next(self._ids), lambda _model, _provider: None, self.most)

    def write(self, plan: AnswerPlan) -> AnswerPlan:
        self.snapshot = self.snapshot.preview(plan.operations)
        return plan

    def missing(self) -> set[str]:
        return {model.model_id for model in self.snapshot.models if model.missing_since is not None}


@pytest.fixture
def world() -> World:
    return World()


def test_what_is_listed_no_more_is_marked_once_and_unmarked_when_it_is_back(world: World) -> None:
    source = world.source("s")
    world.write(world.plan(source, "a", "b"))
    world.write(world.plan(source, "a"))
    assert world.missing() == {"b"}
    assert not world.plan(source, "a").operations
    world.write(world.plan(source, "a", "b"))
    assert world.missing() == set()


def test_what_another_source_lists_is_not_gone(world: World) -> None:
    one, other = world.source("one"), world.source("other")
    world.write(world.plan(one, "a", "b"))
    world.write(world.plan(other, "b"))
    world.write(world.plan(one, "a"))
    assert world.missing() == set()
    world.write(world.plan(other, "c"))
    assert world.missing() == {"b"}


def test_what_could_not_be_read_is_not_gone(world: World) -> None:
    source = world.source("s")
    world.write(world.plan(source, "a", "b"))
    plan = world.write(world.plan(source, "a", unread=("b",)))
    assert world.missing() == set()
    assert [entry.name for entry in plan.report if entry.action == "skipped"] == ["b"]


def test_what_is_no_model_for_the_registry_is_kept_with_its_reason(world: World) -> None:
    source = world.source("s")
    passed = (PassedOver("omni-moderation", "mode moderation"), PassedOver("price\x07", "no provider"))
    content = SourceContent((), passed_over=passed)

    world.write(world.planner().plan(Answer(source, "q", content, digest="d")))

    (view,) = (source_view(world.snapshot, one) for one in world.snapshot.sources)
    assert view["passed_over"] == [
        {"name": "omni-moderation", "reason": "mode moderation"},
        {"name": "price?", "reason": "no provider"},
    ]
    assert view["counts"]["passed_over"] == 2


def test_offers_that_are_the_same_are_not_planned_and_their_rows_stay_listed(world: World) -> None:
    """A row may be spelled otherwise: an Ollama's untagged name is its `:latest`."""
    source = world.source("s")
    world.write(world.plan(source, "a", "b"))

    plan = world.write(world.plan(source, "a:latest", "b", "c", same=frozenset({"a:latest", "b"})))

    assert [(entry.action, entry.name) for entry in plan.report] == [("created", "c")]
    assert world.missing() == set()
    (answer,) = world.snapshot.source_answers
    assert len(answer.listed) == 3


def test_an_equal_answer_writes_nothing_and_a_failure_keeps_what_was_listed(world: World) -> None:
    source = world.source("s")
    world.write(world.plan(source, "a"))
    assert not world.planner().plan(Answer(source, "q")).operations

    world.write(world.planner().plan(Answer(source, "q", error="does not answer", good_at=MOMENT)))
    (answer,) = world.snapshot.source_answers
    assert (answer.state, answer.error, answer.last_good_at, len(answer.listed)) == (
        "failing",
        "does not answer",
        MOMENT,
        1,
    )
    assert not world.planner().plan(Answer(source, "q", error="does not answer")).operations
    world.write(world.planner().plan(Answer(source, "q")))
    (answer,) = world.snapshot.source_answers
    assert (answer.state, answer.error, answer.failing_since) == ("ok", None, None)


def test_answers_that_write_the_same_rows_are_not_written_together(world: World) -> None:
    one, other, third = (world.source(name) for name in ("one", "other", "third"))
    plans = [world.plan(one, "a"), world.plan(other, "a"), world.plan(third)]

    now, later = together(plans)

    assert [plan.answer.source.name for plan in now] == ["one", "third"]
    assert [plan.answer.source.name for plan in later] == ["other"]


def test_the_answer_of_a_source_that_was_deleted_writes_nothing(world: World) -> None:
    source = world.source("s")
    world.snapshot = world.snapshot.with_rows({"model_sources": [(source.id, None)]})
    assert not world.plan(source, "a").operations


def test_what_one_write_cannot_hold_says_so_until_its_end(world: World) -> None:
    source = world.source("s")
    world.most = 3
    plan = world.plan(source, "a", "b", "c")
    assert len(plan.operations) > 4

    world.snapshot = world.snapshot.preview(plan.operations[:3])
    view = source_view(world.snapshot, source)
    assert (view["state"], view["error"], view["last_good_at"]) == ("failing", BEGUN, None)

    gone = world.write(world.plan(source, "b", "c"))
    assert world.missing() == {"a"}, "it was written, and is listed no more"
    assert gone.missing == ("a",)
    view = source_view(world.snapshot, source)
    assert (view["state"], view["error"], view["models"], view["last_good_at"]) == ("ok", None, 2, MOMENT)
