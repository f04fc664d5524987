"""Flapping routes: which are held back, for how long, and that gateways do not reload in a loop."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from model_registry.entities.change import Operation
from model_registry.fleet.flap_damping import damp
from model_registry.gateways.tensorzero.rendering.render import RenderCache, render
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue

HOLD = 10.0
LEFT = 1_000.0


def at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def fleet(**columns: Any) -> tuple[Snapshot, str]:
    """One deployment of a model that is routed, and its id."""
    catalogue = Catalogue()
    provider = catalogue.provider("p", "ollama", route_by="deployments")
    row_id = catalogue.deployment(catalogue.model(provider, "m"), **columns)
    return catalogue.snapshot(), row_id


def flapped(left: float = LEFT, before: float = LEFT - 5) -> dict[str, Any]:
    """The columns of a deployment that went away twice."""
    return {"left_at": at(left), "left_before_at": at(before)}


def test_what_is_loaded_for_the_first_time_and_what_comes_back_once_is_there_at_once() -> None:
    once, _ = fleet(left_at=at(LEFT))
    seldom, _ = fleet(**flapped(before=LEFT - HOLD))
    for snapshot in (fleet()[0], once, seldom):
        assert damp(snapshot, LEFT, HOLD).snapshot is snapshot


def test_what_is_gone_is_gone_at_once() -> None:
    snapshot, _ = fleet(status="lost", **flapped())
    steady = damp(snapshot, LEFT, HOLD)
    assert (steady.snapshot, steady.until) == (snapshot, None)


@pytest.mark.parametrize(("later", "back"), [(0.0, False), (9.9, False), (10.0, True), (3600.0, True)])
def test_what_went_away_twice_comes_back_after_the_hold_time(later: float, back: bool) -> None:  # noqa: FBT001 (a case)
    snapshot, row_id = fleet(**flapped())
    steady = damp(snapshot, LEFT + later, HOLD)

    assert ("p@n" in render(steady.snapshot).text) is back
    assert [held.deployment.id for held in steady.held] == ([] if back else [row_id])
    assert steady.until == (None if back else LEFT + HOLD)


def test_without_a_hold_time_nothing_is_held() -> None:
    snapshot, _ = fleet(**flapped())
    assert damp(snapshot, LEFT, 0.0).held == ()


def test_a_time_that_no_calendar_has_holds_nothing() -> None:
    snapshot, _ = fleet(left_at="infinity", left_before_at="-infinity")
    assert damp(snapshot, LEFT, HOLD).held == ()


def test_a_clock_that_is_a_little_behind_holds_and_one_that_is_wrong_does_not() -> None:
    snapshot, _ = fleet(**flapped())
    assert damp(snapshot, LEFT - 1, HOLD).held
    assert not damp(snapshot, LEFT - 3600, HOLD).held


def test_the_memory_of_what_is_held_counts_as_free_so_that_others_keep_their_places() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider("p", "ollama", route_by="deployments")
    m = catalogue.model(provider, "m")
    for node_id, total in (("a", 10), ("b", 9)):
        catalogue.node(node_id, vram_total_mb=total)
        catalogue.deployment(m, node_id)
    flapping = catalogue.deployment(None, "a", announced_model="other", vram_allocated_mb=5, **flapped())
    back = catalogue.snapshot()
    gone = back.preview([Operation("model_deployments", "update", flapping, {"status": "unloaded"})])

    assert render(damp(back, LEFT + 1, HOLD).snapshot).text == render(gone).text
    assert render(damp(back, LEFT + HOLD, HOLD).snapshot).text != render(gone).text


def reloads(away: float, there: float, seconds: float = 300.0) -> int:
    """How often gateways get another configuration from a deployment that comes and goes at this pace."""
    snapshot, row_id = fleet()
    cache, texts, now, left = RenderCache(), [], LEFT, None
    while now < LEFT + seconds:
        columns = {"status": "unloaded", "left_at": at(now), "left_before_at": left and at(left)}
        left = now
        for status, lasts in ((columns, away), ({"status": "loaded"}, there)):
            snapshot = snapshot.preview([Operation("model_deployments", "update", row_id, status)])
            moments = [now + tick / 2 for tick in range(max(1, int(lasts * 2)))]  # it may come back by itself
            texts += [render(damp(snapshot, moment, HOLD).snapshot, cache).text for moment in moments]
            now += lasts
    return sum(one != other for one, other in pairwise(texts))


def test_one_that_comes_and_goes_all_the_time_is_left_out_after_the_second_time() -> None:
    assert reloads(away=0.5, there=0.5) <= 2
    assert reloads(away=1.0, there=8.0) <= 2


@pytest.mark.parametrize(("away", "there"), [(1.0, 10.0), (1.0, 15.0), (12.0, 1.0), (3.0, 7.5)])
def test_slower_ones_change_the_configuration_four_times_in_the_hold_time_at_most(away: float, there: float) -> None:
    assert 2 <= reloads(away, there) <= 4 * 300 / HOLD
