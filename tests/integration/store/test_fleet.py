"""`registry_record_events` with status messages: the rule holds for any order, batches and repeats."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.database import empty
from support.fleet_truth import Content, Event, Key, Status, truth
from support.profiles import on_the_stack

SCHEMA = "model_registry"
MANY = 51
"""From this number of events on, other query plans merge them."""
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)

CONTENTS: st.SearchStrategy[Content] = st.sampled_from(
    [
        *({"status": status} for status in ("lost", "loading", "loaded", "error", "unloaded")),
        *({"status": "loaded", "vram_allocated_mb": mb} for mb in (0, 1)),
        {"status": "loaded", "metadata": {"model_name": "x"}},
        {"status": "unloaded", "vram_allocated_mb": 1},
        {"status": "error", "error_message": "out of memory"},
    ]
)
LISTED = CONTENTS.filter(
    lambda content: content["status"] != "unloaded"
)  # who reads messages takes that for not listed
MODELS = st.sampled_from(["a", "b", "c"])
TIMES = st.integers(0, 4)
EVENTS = st.builds(Event, st.just("n"), MODELS, TIMES, CONTENTS)
STATUSES = st.builds(Status, st.just("n"), TIMES, st.dictionaries(MODELS, LISTED, max_size=3))
# Of one node mostly: what is of two nodes cannot meet.
SAID = st.lists(EVENTS | STATUSES, min_size=1, max_size=8)


def moment(at: int) -> str:
    return (BEGAN + timedelta(seconds=at)).isoformat()


def event_wire(event: Event) -> dict[str, Any]:
    named = {"node_id": event.node, "provider_type": "ollama", "announced_model": event.model}
    return {**named, "event_at": moment(event.at), **event.content}


def status_wire(status: Status, *, whole: bool) -> dict[str, Any]:
    listed = [{"provider_type": "ollama", "announced_model": model, **c} for model, c in status.listed.items()]
    digest = hashlib.sha256(json.dumps([sorted(status.listed), status.listed], sort_keys=True).encode()).hexdigest()
    wire = {"node_id": status.node, "said_at": moment(status.at), "received_at": moment(status.at), "digest": digest}
    return {**wire, "listed": listed} if whole else wire


def record(
    database: psycopg.Connection, said: list[Event | Status], short: list[bool], *, copies: int = 1, **more: Any
) -> dict[str, Any]:
    """Record a batch; heartbeats that are sent short and not settled are sent again whole, as the service does."""
    events = [event_wire(one) for one in said if isinstance(one, Event)]
    is_short = {id(one): flag for one, flag in zip(said, short, strict=False)}
    statuses = [status_wire(one, whole=not is_short.get(id(one))) for one in said if isinstance(one, Status)]
    heard = {one.node: moment(one.at) for one in said if not (isinstance(one, Status) and is_short.get(id(one)))}
    answer = call(database, events=events * copies, statuses=statuses * copies, heard=heard, **more)
    unsettled = [one for one in said if isinstance(one, Status) and one.node in answer.get("unsettled", ())]
    if unsettled:
        wires = [status_wire(one, whole=True) for one in unsettled]
        heard = {one.node: moment(one.at) for one in unsettled}
        assert "unsettled" not in call(database, events=[], statuses=wires, heard=heard)
    return answer


def call(database: psycopg.Connection, **arguments: Any) -> dict[str, Any]:
    names = ", ".join(f"{name} => %s" for name in arguments)
    query = f"select registry_record_events(known_revision => 0, {names})"
    values = [json.dumps(v) if isinstance(v, list | dict) else v for v in arguments.values()]
    row = database.execute(query.encode(), values).fetchone()
    assert row is not None
    answer: dict[str, Any] = row[0]
    return answer


def rows(database: psycopg.Connection) -> dict[Key, tuple[Any, ...]]:
    found = database.execute(
        "select node_id, announced_model, status, vram_allocated_mb, endpoint, error_message, metadata "
        "from model_deployments"
    ).fetchall()
    return {(row[0], row[1]): tuple(row[2:]) for row in found}


@on_the_stack()
@given(said=SAID, data=st.data())
def test_in_any_order_and_any_batches_with_any_repeats_the_newest_event_decides(
    database_url: str, database: psycopg.Connection, said: list[Event | Status], data: st.DataObject
) -> None:
    empty(database_url, SCHEMA)
    repeats = data.draw(st.lists(st.sampled_from(said), max_size=4))
    arrived = data.draw(st.permutations(said + repeats))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(arrived)), max_size=5)))
    for begin, end in pairwise([0, *cuts, len(arrived)]):
        batch = arrived[begin:end]
        if batch:
            short = data.draw(st.lists(st.booleans(), min_size=len(batch), max_size=len(batch)))
            record(database, batch, short, copies=data.draw(st.sampled_from([1, MANY])))

    assert rows(database) == truth(said)


def said_of_itself(database: psycopg.Connection, endpoint: str, at: int, *, whole: bool) -> dict[str, Any]:
    """A node that has nothing loaded says where it is."""
    status = {"node_id": "n", "said_at": moment(at), "received_at": moment(at), "digest": endpoint}
    more = {"endpoint": endpoint, "listed": []} if whole else {}
    return call(database, events=[], statuses=[status | more], heard={"n": moment(at)} if whole else {})


@pytest.mark.parametrize(("first", "second"), [("http://a", "http://b"), ("http://b", "http://a")])
def test_a_node_that_moves_within_a_second_is_where_its_heartbeats_say(
    database_url: str, database: psycopg.Connection, first: str, second: str
) -> None:
    empty(database_url, SCHEMA)
    said_of_itself(database, first, 1, whole=True)
    said_of_itself(database, second, 1, whole=True)

    if "unsettled" in said_of_itself(database, second, 6, whole=False):
        said_of_itself(database, second, 6, whole=True)

    assert database.execute("select endpoint, announced_endpoint from gpu_nodes").fetchall() == [(second, second)]
