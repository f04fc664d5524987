"""The simulated fleet: the same for the same seed, as disorderly as configured, and correct about its final state."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest

from fleet_simulation import Habits, Model, Publication, SimulatedFleet
from model_registry.messaging.subjects import LOADED, STATUS, UNLOADED

START = 1_800_000_000.0
HABITS = Habits(crash=40, down=10, change=4)


def simulated(seed: int, step: float = 1.0, **habits: Any) -> tuple[SimulatedFleet, list[Publication]]:
    """Two minutes of ten nodes."""
    fleet = SimulatedFleet(seed, 10, 4, start=START, habits=HABITS if not habits else Habits(**habits))
    found: list[Publication] = []
    for i in range(1, int(120 / step) + 1):
        found += fleet.until(START + i * step)
    return fleet, found


def by_the_rule(said: list[Publication], down: set[str]) -> dict[tuple[str, str], Model]:
    """The state that docs/gpu-events.md derives from all events: a status message lists all models of its node."""
    newest: dict[tuple[str, str], tuple[float, Model]] = {}
    spoken: dict[str, set[str]] = defaultdict(set)
    for one in said:
        models = one.payload["data"]["loaded_models"].values() if one.subject == STATUS else [one.payload]
        spoken[one.node] |= {model["model_id"] for model in models}
    for one in said:
        if one.subject == STATUS:
            listed = {model["model_id"]: model for model in one.payload["data"]["loaded_models"].values()}
            claims = {name: _model(listed[name]) if name in listed else Model() for name in spoken[one.node]}
        else:
            claims = {one.payload["model_id"]: _model(one.payload)}
        for name, model in claims.items():
            key = (one.node, name)
            newest[key] = max(newest.get(key, (0.0, model)), (one.ts, model), key=lambda claim: claim[0])
    return {key: lost(model) if key[0] in down else model for key, (_, model) in newest.items()}


def _model(said: dict[str, Any]) -> Model:
    vram = said.get("vram_mb", said.get("vram_allocated_mb"))
    return Model(said["state"] if "state" in said else said["status"], vram, said["endpoint"], said["error_message"])


def lost(model: Model) -> Model:
    gone = model.status in ("loading", "loaded")
    return Model("lost" if gone else model.status, model.vram_mb, model.endpoint, model.error_message)


@pytest.mark.parametrize("seed", range(20))
def test_the_expected_state_follows_the_rule_from_all_events(seed: int) -> None:
    fleet, said = simulated(seed)
    fleet.settle()
    said += fleet.until(START + 200)

    down = {node for node, status in fleet.expected_nodes().items() if status == "lost"}
    assert fleet.expected() == by_the_rule(said, down)


def test_a_seed_means_the_same_however_often_one_looks() -> None:
    assert simulated(7, step=0.25)[1] == simulated(7, step=30)[1] != simulated(8, step=30)[1]


def test_messages_come_twice_and_late_and_clocks_are_wrong() -> None:
    _, said = simulated(1)
    times: dict[str, list[float]] = defaultdict(list)
    for one in said:
        times[one.node].append(one.ts)

    assert any(len(set(seen)) < len(seen) for seen in times.values())
    assert any(sorted(seen) != seen for seen in times.values())
    skews = [one.ts - one.at for one in said]
    assert min(skews) < -20
    assert 20 < max(skews) <= Habits().skew


def test_without_disorder_every_event_arrives_once_and_in_order() -> None:
    _, said = simulated(1, skew=0, late=0, repeated=0, crash=1e9)

    assert all(one.ts == pytest.approx(one.at, abs=0.001) for one in said)
    for node in {one.node for one in said}:
        beats = [one.at for one in said if one.node == node and one.subject == STATUS]
        assert len(beats) == len(set(beats)) == 24


def test_a_crashed_node_is_silent_and_comes_back_with_nothing() -> None:
    fleet, said = simulated(3, skew=0, late=0, repeated=0, crash=20, down=30, change=2)
    gaps = 0
    for node in fleet.expected_nodes():
        of_node = [one for one in said if one.node == node]
        for before, after in pairwise(of_node):
            if after.at - before.at > Habits().heartbeat + 0.001:
                gaps += 1
                assert (after.subject, after.payload["data"]["loaded_models"]) == (STATUS, {})
    assert gaps > 10


def test_once_settled_only_heartbeats_go_on_and_nobody_returns() -> None:
    fleet, _ = simulated(5)
    fleet.settle()
    list(fleet.until(START + 130))  # what was still on its way
    expected, nodes = fleet.expected(), fleet.expected_nodes()

    said = list(fleet.until(START + 300))

    assert {one.subject for one in said} == {STATUS}
    assert {one.node for one in said} == {node for node, status in nodes.items() if status == "ready"}
    assert (fleet.expected(), fleet.expected_nodes()) == (expected, nodes)
    assert {"ready", "lost"} == set(nodes.values())


def test_every_kind_of_thing_happens() -> None:
    fleet, said = simulated(2)

    assert {one.subject for one in said} == {LOADED, UNLOADED, STATUS}
    assert {"loading", "loaded", "error", "unloaded"} <= {model.status for model in fleet.expected().values()} | {
        one.payload.get("status") for one in said
    }
