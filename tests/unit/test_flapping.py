"""Routes that come and go: what is held back, for how long, and that gateways are not told in a loop."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from model_registry.catalog.snapshot import Snapshot
from model_registry.entities.change import Operation
from model_registry.fleet.flapping import steadied
from model_registry.tensorzero.render import RenderCache, render
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


def test_what_is_loaded_for_the_first_time_is_there_at_once() -> None:
    snapshot, _ = fleet()
    assert steadied(snapshot, LEFT, HOLD).snapshot is snapshot


def test_what_is_gone_is_gone_at_once() -> None:
    snapshot, _ = fleet(status="lost", left_at=at(LEFT))
    steady = steadied(snapshot, LEFT, HOLD)
    assert (steady.snapshot, steady.until) == (snapshot, None)


@pytest.mark.parametrize(("later", "back"), [(0.0, False), (9.9, False), (10.0, True), (3600.0, True)])
def test_what_went_away_comes_back_after_the_hold_time(later: float, back: bool) -> None:  # noqa: FBT001 (a case)
    snapshot, row_id = fleet(left_at=at(LEFT))
    steady = steadied(snapshot, LEFT + later, HOLD)

    assert ("p@n" in render(steady.snapshot).text) is back
    assert [held.deployment.id for held in steady.held] == ([] if back else [row_id])
    assert steady.until == (None if back else LEFT + HOLD)


def test_without_a_hold_time_nothing_is_held() -> None:
    snapshot, _ = fleet(left_at=at(LEFT))
    assert steadied(snapshot, LEFT, 0.0).held == ()


def test_a_clock_that_is_a_little_behind_holds_and_one_that_is_wrong_does_not() -> None:
    snapshot, _ = fleet(left_at=at(LEFT))
    assert steadied(snapshot, LEFT - 1, HOLD).held
    assert not steadied(snapshot, LEFT - 3600, HOLD).held


def test_the_memory_of_what_is_held_counts_as_free_so_that_others_keep_their_places() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider("p", "ollama", route_by="deployments")
    m = catalogue.model(provider, "m")
    for node_id, total in (("a", 10), ("b", 9)):
        catalogue.node(node_id, vram_total_mb=total)
        catalogue.deployment(m, node_id)
    flapping = catalogue.deployment(None, "a", announced_model="other", vram_allocated_mb=5, left_at=at(LEFT))
    back = catalogue.snapshot()
    gone = back.preview([Operation("model_deployments", "update", flapping, {"status": "unloaded"})])

    assert render(steadied(back, LEFT + 1, HOLD).snapshot).text == render(gone).text
    assert render(steadied(back, LEFT + HOLD, HOLD).snapshot).text != render(gone).text


def test_one_that_comes_and_goes_changes_the_configuration_at_most_twice_in_the_hold_time() -> None:
    snapshot, row_id = fleet()
    cache, texts = RenderCache(), []
    seconds = 120
    for tick in range(seconds * 2):  # away and back once a second
        now = LEFT + tick / 2
        columns = {"status": "loaded"} if tick % 2 else {"status": "unloaded", "left_at": at(now)}
        snapshot = snapshot.preview([Operation("model_deployments", "update", row_id, columns)])
        texts.append(render(steadied(snapshot, now, HOLD).snapshot, cache).text)
    assert len(set(texts)) == 1  # it never stays long enough

    slow = []
    for tick in range(seconds):  # 11 s there, 1 s away
        now = LEFT + 1000 + tick
        columns = {"status": "unloaded", "left_at": at(now)} if tick % 12 == 0 else {"status": "loaded"}
        snapshot = snapshot.preview([Operation("model_deployments", "update", row_id, columns)])
        slow.append(render(steadied(snapshot, now, HOLD).snapshot, cache).text)
    reloads = sum(one != other for one, other in pairwise(slow))
    assert 2 <= reloads <= 2 * seconds / HOLD
