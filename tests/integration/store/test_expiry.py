"""`registry_expire_nodes`: silent nodes are lost, if the registry was able to receive. The tests set the clock."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from support.database import empty

SCHEMA = "model_registry"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
BEAT, SILENT = 5, 15


class Fleet:
    """Nodes and a registry that receives their messages, at a time that the test sets."""

    def __init__(self, database: psycopg.Connection) -> None:
        self.database = database
        self.now = 0.0

    def at(self, second: float | None = None) -> str:
        return (BEGAN + timedelta(seconds=self.now if second is None else second)).isoformat()

    def _ask(self, function: str, **arguments: Any) -> dict[str, Any]:
        names = ", ".join(f"{name} => %s" for name in arguments)
        values = [json.dumps(v) if isinstance(v, list | dict) else v for v in arguments.values()]
        row = self.database.execute(f"select {function}(known_revision => 0, {names})".encode(), values).fetchone()
        assert row is not None
        answer: dict[str, Any] = row[0]
        return answer

    def beat(
        self, *nodes: str, listed: tuple[str, ...] = ("m",), whole: bool = True, received: float | None = None
    ) -> Any:
        """Record the nodes' events now, as of now or of an earlier receipt."""
        moment = self.at(received)
        models = [{"provider_type": "ollama", "announced_model": model, "status": "loaded"} for model in listed]
        statuses = [
            {"node_id": node, "said_at": moment, "received_at": moment, "digest": ",".join(listed)}
            | ({"listed": models} if whole else {})
            for node in nodes
        ]
        heard = dict.fromkeys(nodes, moment) if whole else {}
        return self._ask("registry_record_events", events=[], statuses=statuses, heard=heard, clock=self.at())

    def load(self, node: str, model: str, *, received: float | None = None) -> None:
        """A node says that one model is loaded."""
        named = {"node_id": node, "provider_type": "ollama", "announced_model": model}
        event = {**named, "status": "loaded", "event_at": self.at()}
        self._ask("registry_record_events", events=[event], heard={node: self.at(received)}, clock=self.at())

    def look(self, *, heard: bool = True, through: float | None = None) -> dict[str, Any]:
        """A replica looks for lost nodes, knowing or not that everything up to a moment ago is recorded."""
        known = self.at(self.now - 1 if through is None else through) if heard else None
        return self._ask(
            "registry_expire_nodes", heard_through=known, silent_seconds=SILENT, gap_seconds=BEAT, clock=self.at()
        )

    def live(self, seconds: int, *nodes: str, looking: bool = True) -> None:
        """Let time pass: these nodes send a heartbeat every five seconds, and a replica looks every second."""
        for _ in range(seconds):
            self.now += 1
            if self.now % BEAT == 0 and nodes:
                self.beat(*nodes)
            if looking:
                self.look()

    def nodes(self) -> dict[str, str]:
        return dict(self.database.execute("select node_id, status from gpu_nodes order by 1").fetchall())

    def deployments(self) -> dict[str, str]:
        rows = self.database.execute(
            "select node_id || '/' || announced_model, status from model_deployments"
        ).fetchall()
        return dict(rows)

    def lost(self) -> set[str]:
        return {node for node, status in self.nodes().items() if status == "lost"}

    def changes(self) -> int:
        row = self.database.execute("select count(*) from registry_changes").fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture
def fleet(database_url: str, database: psycopg.Connection) -> Fleet:
    empty(database_url, SCHEMA)
    return Fleet(database)


def test_a_node_that_misses_three_heartbeats_is_lost_with_what_is_loaded_on_it(fleet: Fleet) -> None:
    fleet.beat("a", "b")
    fleet.live(5, "a", "b")
    fleet.live(15, "a")
    assert fleet.lost() == set()

    fleet.live(2, "a")

    assert fleet.nodes() == {"a": "ready", "b": "lost"}
    assert fleet.deployments() == {"a/m": "loaded", "b/m": "lost"}


def test_a_heartbeat_brings_back_what_it_lists_and_unloads_the_rest(fleet: Fleet) -> None:
    fleet.beat("a", "b", listed=("m", "n"))
    fleet.live(20, "a")
    assert fleet.deployments() == {"a/m": "loaded", "a/n": "unloaded", "b/m": "lost", "b/n": "lost"}

    fleet.beat("b")

    assert fleet.nodes() == {"a": "ready", "b": "ready"}
    assert fleet.deployments() == {"a/m": "loaded", "a/n": "unloaded", "b/m": "loaded", "b/n": "unloaded"}


def test_a_short_heartbeat_of_a_lost_node_has_to_come_whole(fleet: Fleet) -> None:
    fleet.beat("a", "b")
    fleet.live(20, "a")
    assert fleet.lost() == {"b"}

    answer = fleet.beat("b", whole=False)

    assert answer["unsettled"] == ["b"]
    assert fleet.lost() == {"b"}


def test_an_event_brings_back_the_node_and_the_model_that_it_is_of(fleet: Fleet) -> None:
    fleet.beat("a", "b", listed=("m", "n"))
    fleet.live(20, "a")

    fleet.load("b", "n")

    assert fleet.lost() == set()
    assert {k: v for k, v in fleet.deployments().items() if k.startswith("b")} == {"b/m": "lost", "b/n": "loaded"}


def test_events_of_a_lost_node_from_before_its_silence_do_not_bring_it_back(fleet: Fleet) -> None:
    fleet.beat("a", "b")
    fleet.live(20, "a")

    fleet.beat("b", received=0)

    assert fleet.lost() == {"b"}
    assert fleet.deployments()["b/m"] == "lost"


def test_a_node_without_heartbeats_is_never_lost(fleet: Fleet) -> None:
    fleet.load("a", "m")

    fleet.live(100)

    assert (fleet.nodes(), fleet.deployments()) == ({"a": "ready"}, {"a/m": "loaded"})


def test_a_heartbeat_is_no_change_and_a_lost_node_is_one(fleet: Fleet) -> None:
    fleet.beat("a", "b")
    before = fleet.changes()
    fleet.live(10, "a", "b")
    assert fleet.changes() == before

    fleet.live(20, "a")

    assert fleet.changes() == before + 2  # the node, and its deployment


@pytest.mark.parametrize("outage", [6, 60, 3600])
def test_while_nobody_could_hear_nobody_is_lost(fleet: Fleet, outage: int) -> None:
    """NATS or the database was away, or every replica was paused: no event is recorded, no replica looks."""
    fleet.beat("a", "b")
    fleet.live(10, "a", "b")
    fleet.live(outage, looking=False)
    fleet.live(14, "a")
    assert fleet.lost() == set()

    fleet.live(4, "a")

    assert fleet.lost() == {"b"}


def test_while_a_backlog_is_drained_nobody_is_lost(fleet: Fleet) -> None:
    """Replicas look all the time, and all that they can say is that nothing newer than long ago is recorded."""
    fleet.beat("a", "b")
    fleet.live(10, "a", "b")
    for _ in range(60):
        fleet.now += 1
        fleet.look(through=10)
        fleet.look(heard=False)
    assert fleet.lost() == set()

    fleet.look()
    fleet.beat("a", received=fleet.now - 40)
    fleet.live(10, "a", "b")

    assert fleet.lost() == set()


def test_a_fresh_registry_waits_before_it_believes_in_silence(fleet: Fleet) -> None:
    fleet.beat("a", "b")
    fleet.now += 1000

    fleet.live(14)
    assert fleet.lost() == set()

    fleet.live(4)
    assert fleet.lost() == {"a", "b"}


def test_events_recorded_by_one_replica_need_not_reach_another(fleet: Fleet) -> None:
    """A replica that dies blocks no other: another continues from its position, as long as there is no gap."""
    fleet.beat("a", "b")
    fleet.live(10, "a", "b")
    fleet.live(4, "a", looking=False)

    fleet.live(13, "a")

    assert fleet.lost() == {"b"}


def test_one_replica_looks_at_a_time(fleet: Fleet, database_url: str) -> None:
    fleet.beat("a")
    fleet.live(14)
    with psycopg.connect(database_url) as other, other.transaction():
        other.execute("select pg_advisory_xact_lock(7366113290412)")
        fleet.live(30)
        assert fleet.lost() == set()

    fleet.live(20)

    assert fleet.lost() == {"a"}


def test_a_clock_that_is_set_back_loses_nobody(fleet: Fleet) -> None:
    fleet.now = 10_000
    fleet.beat("a")
    fleet.live(5, "a")
    fleet.now = 0

    fleet.live(30, "a")

    assert fleet.lost() == set()


def test_who_falls_silent_after_the_clock_was_set_back_is_lost(fleet: Fleet) -> None:
    fleet.now = 10_000
    fleet.beat("a", "b")
    fleet.live(5, "a", "b")
    fleet.now = 0

    fleet.live(30, "a")

    assert fleet.lost() == {"b"}


@pytest.mark.parametrize("listed", [("m",), tuple(f"m{i}" for i in range(60))], ids=["few", "many"])
def test_a_report_through_a_clock_that_is_ahead_keeps_no_node_lost(fleet: Fleet, listed: tuple[str, ...]) -> None:
    fleet.beat("a", "b")
    fleet.load("b", "m", received=fleet.now + 3600)  # over HTTP: a replica's clock
    fleet.live(30, "a")
    assert fleet.lost() == {"b"}

    fleet.beat("b", listed=listed)

    assert fleet.lost() == set()
    assert {status for name, status in fleet.deployments().items() if name.removeprefix("b/") in listed} == {"loaded"}


# Most of them at once -------------------------------------------------------------------------------------------------

MANY = tuple(f"n{i}" for i in range(8))


def test_most_of_the_fleet_at_once_is_suspected_first_and_lost_when_it_lasts(fleet: Fleet) -> None:
    fleet.beat(*MANY)
    fleet.live(10, *MANY)
    fleet.live(17, *MANY[:3])
    report = fleet.look()["fleet"]
    assert (report["suspected_since"] is not None, report["mass_lost_at"], fleet.lost()) == (True, None, set())

    fleet.live(15, *MANY[:3])

    report = fleet.look()["fleet"]
    assert fleet.lost() == set(MANY[3:])
    assert (report["suspected_since"], report["mass_lost"], report["mass_of"]) == (None, 5, 8)

    fleet.beat(*MANY[:6])
    fleet.live(2, *MANY[:6])
    assert fleet.look()["fleet"]["mass_lost_at"] is None


def test_most_of_the_fleet_that_comes_back_in_time_was_never_lost(fleet: Fleet) -> None:
    fleet.beat(*MANY)
    fleet.live(10, *MANY)
    fleet.live(25)
    assert fleet.lost() == set()

    fleet.live(40, *MANY)

    assert fleet.lost() == set()
    assert fleet.look()["fleet"]["suspected_since"] is None


def test_two_of_two_are_no_mass(fleet: Fleet) -> None:
    fleet.beat("a", "b")
    fleet.live(18)

    assert fleet.lost() == {"a", "b"}
    assert fleet.look()["fleet"]["mass_lost_at"] is None
