"""Nodes publish with their own clocks; registries receive messages late, twice and out of order, as time passes.

In every case: no node is lost that sent a message in time, and once everything is received, the rows match the model
(`support/fleet_truth.py`), even if everything but the last status message of a node got lost.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from support.database import empty
from support.fleet_truth import Content, Event, Status, shown, truth
from support.profiles import on_the_stack

SCHEMA = "model_registry"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
BEAT, SILENT = 5, 15
CLOCKS = {"slow": -60, "right": 0, "fast": 60}
"""Nodes, and how wrong their clocks are, in seconds."""

NODES = st.sampled_from(sorted(CLOCKS))
MODELS = st.sampled_from(["a", "b", "c"])
LISTED: st.SearchStrategy[Content] = st.sampled_from(
    [{"status": "loaded"}, {"status": "loading"}, {"status": "error", "error_message": "x"}]
)
SAID: st.SearchStrategy[Content] = LISTED | st.just({"status": "unloaded"})


def moment(second: float) -> str:
    return (BEGAN + timedelta(seconds=second)).isoformat()


class States(RuleBasedStateMachine):
    """The state: `said` holds the messages in NATS, each with the second of its receipt."""

    database: psycopg.Connection
    url: str

    def __init__(self) -> None:
        super().__init__()
        empty(self.url, SCHEMA)
        self.now = 1000
        self.said: list[tuple[int, Event | Status]] = []
        self.heard = 0
        """Some of them are recorded; the others are still waiting."""

    @rule(node=NODES, model=MODELS, content=SAID)
    def say(self, node: str, model: str, content: Content) -> None:
        self.said.append((self.now, Event(node, model, self.now + CLOCKS[node], content)))

    @rule(node=NODES, listed=st.dictionaries(MODELS, LISTED, max_size=3))
    def beat(self, node: str, listed: dict[str, Content]) -> None:
        self.said.append((self.now, Status(node, self.now + CLOCKS[node], listed)))

    @rule(seconds=st.sampled_from([1, 2, 4]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(seconds=st.sampled_from([20, 600]))
    def stop_the_world(self, seconds: int) -> None:
        """NATS, the database or every replica is away."""
        self.now += seconds

    @rule(data=st.data())
    def hear(self, data: st.DataObject) -> None:
        """A batch is recorded: all that is waiting, and some of it again, in any order."""
        waiting = self.said[self.heard :]
        again = data.draw(st.lists(st.sampled_from(self.said), max_size=2)) if self.said else []
        self.heard = len(self.said)
        self._record(data.draw(st.permutations(waiting + again)))

    @rule(seconds=st.sampled_from([2, 6, 18]), speaks=st.sets(NODES))
    def watch(self, seconds: int, speaks: set[str]) -> None:
        """Time passes while registries receive everything and nodes repeat their status."""
        for _ in range(seconds):
            self.now += 1
            if self.now % BEAT == 0 and speaks:
                for node in sorted(speaks):
                    listed = [one.listed for _, one in self.said if isinstance(one, Status) and one.node == node]
                    self.beat(node, listed[-1] if listed else {})
            self._record(self.said[self.heard :])
            self.heard = len(self.said)
            if self.now % 2:
                continue
            self._ask(
                "registry_expire_nodes", heard_through=moment(self.now - 1), silent_seconds=SILENT, gap_seconds=BEAT
            )

    @invariant()
    def nobody_is_lost_who_has_spoken(self) -> None:
        for node in self._lost():
            last = max(at for at, one in self.said[: self.heard] if one.node == node)
            assert self.now - last > SILENT, node

    @invariant()
    def what_is_live_is_on_a_node_that_is_there(self) -> None:
        live = self.database.execute("""select node_id from model_deployments where status in ('loading', 'loaded')""")
        assert not {node for (node,) in live.fetchall()} & self._lost()

    def teardown(self) -> None:
        """Every node reports once more; one of them has not reported before."""
        self.now += 200
        for node in CLOCKS:
            self.beat(node, {"a": {"status": "loaded"}, "z": {"status": "error"}})
        self._record(self.said[self.heard :])
        rows = self.database.execute(
            "select node_id, announced_model, status, vram_allocated_mb, endpoint, error_message, metadata "
            "from model_deployments"
        ).fetchall()
        names = ("status", "vram_allocated_mb", "endpoint", "error_message", "metadata")
        found = {(row[0], row[1]): shown(dict(zip(names, row[2:], strict=True))) for row in rows}
        assert found == truth([one for _, one in self.said])
        assert self._lost() == set()
        last = truth([one for _, one in self.said[-len(CLOCKS) :]])
        assert {key: found[key] for key in last} == last

    def _record(self, batch: list[tuple[int, Event | Status]]) -> None:
        events, statuses = [], []
        heard: dict[str, str] = {}
        for received, one in batch:
            if isinstance(one, Event):
                named = {"node_id": one.node, "provider_type": "ollama", "announced_model": one.model}
                events.append({**named, **one.content, "event_at": moment(one.at)})
            else:
                listed = [{"provider_type": "ollama", "announced_model": m, **c} for m, c in one.listed.items()]
                digest = json.dumps(one.listed, sort_keys=True)
                statuses.append(
                    {"node_id": one.node, "said_at": moment(one.at), "received_at": moment(received)}
                    | {"digest": digest, "listed": listed}
                )
            heard[one.node] = max(heard.get(one.node, ""), moment(received))
        if batch:
            self._ask("registry_record_events", events=events, statuses=statuses, heard=heard)

    def _ask(self, function: str, **arguments: Any) -> None:
        arguments |= {"clock": moment(self.now), "known_revision": 2**62}
        names = ", ".join(f"{name} => %s" for name in arguments)
        values = [json.dumps(v) if isinstance(v, list | dict) else v for v in arguments.values()]
        self.database.execute(f"select {function}({names})".encode(), values)

    def _lost(self) -> set[str]:
        return {n for (n,) in self.database.execute("select node_id from gpu_nodes where status = 'lost'").fetchall()}


@pytest.fixture
def states(database_url: str, database: psycopg.Connection) -> type[States]:
    States.database, States.url = database, database_url
    return States


@pytest.mark.property
def test_the_fleet_converges_on_the_truth(states: type[States]) -> None:
    # Enough steps for a node to report, fall silent, be lost and return; each is a transaction.
    run_state_machine_as_test(states, settings=settings(on_the_stack(), stateful_step_count=12))
