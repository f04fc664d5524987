"""`registry_record_events`: any order and any number of repeats result in the same rows."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import psycopg
from hypothesis import given
from hypothesis import strategies as st

from support.database import empty
from support.profiles import on_the_stack

SCHEMA = "model_registry"
MANY = 51
"""From this number of events on, other query plans merge them."""
STAGES = ["lost", "loading", "loaded", "error", "unloaded"]

Event = dict[str, Any]

EVENTS = st.fixed_dictionaries(
    {
        "node_id": st.sampled_from(["gpu-1", "gpu-10"]),
        "provider_type": st.sampled_from(["ollama", "vllm"]),
        "announced_model": st.just("x"),
        "status": st.sampled_from(STAGES),
        "event_at": st.sampled_from([f"2026-01-01T00:00:0{i}+00:00" for i in range(4)]),
    },
    optional={
        "vram_allocated_mb": st.sampled_from([None, 0, 6144]),
        "endpoint": st.sampled_from([None, "", "http://gpu-1"]),
        "error_message": st.sampled_from([None, "out of memory"]),
        "loaded_at": st.sampled_from([None, "2026-01-01T00:00:00+00:00", "2025-12-31T00:00:00+00:00"]),
        "metadata": st.sampled_from([{}, {"session_id": "a"}]),
    },
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Event], list[list[Event]]]:
    """What happened, and the batches in which it arrived: in any order, some of it several times."""
    happened = draw(st.lists(EVENTS, min_size=1, max_size=10))
    repeats = draw(st.lists(st.sampled_from(happened), max_size=5))
    arrived = draw(st.permutations(happened + repeats))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(arrived) - 1)), max_size=4)))
    edges = [0, *cuts, len(arrived)]
    return happened, [arrived[a:b] for a, b in pairwise(edges) if a < b]


def record(database: psycopg.Connection, events: list[Event]) -> dict[str, Any]:
    """Record a batch; answers the changes it made."""
    row = database.execute("select registry_record_events(%s, 0)", [json.dumps(events)]).fetchone()
    assert row is not None
    answer: dict[str, Any] = row[0]
    return answer


def rows(database: psycopg.Connection) -> list[tuple[Any, ...]]:
    """The deployments and the nodes, without what counts or dates the writing."""
    deployments = database.execute("""
        select d.node_id, d.provider_type, announced_model, m.name, d.status, vram_allocated_mb, endpoint,
            error_message,
               loaded_at, event_at, d.metadata
        from model_deployments d left join models m on m.id = d.model_id order by 1, 2, 3""").fetchall()
    return deployments + database.execute("select node_id, last_seen_at from gpu_nodes order by 1").fetchall()


def prepare(database_url: str, database: psycopg.Connection) -> None:
    """A catalogue that knows the model at one of the two types."""
    empty(database_url, SCHEMA)
    database.execute("""
        insert into model_providers (name, type) values ('local', 'ollama');
        insert into models (provider_id, name, model_id) select id, 'known', 'x' from model_providers;
    """)


@on_the_stack()
@given(history=histories())
def test_events_end_in_the_same_rows_in_whichever_order_and_however_often(
    database_url: str, database: psycopg.Connection, history: tuple[list[Event], list[list[Event]]]
) -> None:
    happened, batches = history
    prepare(database_url, database)
    record(database, happened * MANY)
    expected = rows(database)

    prepare(database_url, database)
    for batch in batches:
        record(database, batch)

    assert rows(database) == expected
    newest: dict[tuple[str, str], tuple[str, int]] = {}
    for event in happened:
        key = event["node_id"], event["provider_type"]
        newest[key] = max(newest.get(key, ("", 0)), (event["event_at"], STAGES.index(event["status"])))
    assert {(row[0], row[1]): (row[9].isoformat(), STAGES.index(row[4])) for row in expected if len(row) > 2} == newest
    assert all(row[3] == ("known" if row[1] == "ollama" else None) for row in expected if len(row) > 2)


def test_a_repeated_batch_changes_nothing_and_makes_no_revision(
    database_url: str, database: psycopg.Connection
) -> None:
    prepare(database_url, database)
    event = {"node_id": "n", "provider_type": "ollama", "announced_model": "x", "status": "loaded"}
    first = record(database, [{**event, "event_at": "2026-01-01T00:00:00Z"}])

    for moment in ("2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z", "2026-01-01T00:05:00Z"):
        again = record(database, [{**event, "event_at": moment}])
        assert again["revision"] == first["revision"]
    # The last one was a heartbeat: kept, though it is no change.
    assert [row[-2].isoformat() for row in rows(database)[:1]] == ["2026-01-01T00:05:00+00:00"]


def test_an_event_that_the_tables_refuse_spoils_its_batch_and_nothing_else(
    database_url: str, database: psycopg.Connection
) -> None:
    prepare(database_url, database)
    good = {"node_id": "n", "provider_type": "ollama", "announced_model": "x", "status": "loaded"}
    good["event_at"] = "2026-01-01T00:00:00Z"

    for bad in ({**good, "status": "asleep"}, {**good, "node_id": ""}, {**good, "vram_allocated_mb": -1}):
        try:
            record(database, [good, {**bad, "announced_model": "y"}])
        except psycopg.IntegrityError:
            assert rows(database) == []
        else:
            raise AssertionError(bad)
