"""Small and large batches of events are merged by one text, with separate query plans."""

from __future__ import annotations

import json

import psycopg

FEW, MANY = 50, 51


def recorded(database: psycopg.Connection, first: int, number: int) -> None:
    """Record events of as many nodes, each with a deployment that is there already."""
    events = [
        {
            "node_id": f"node-{i}",
            "provider_type": "ollama",
            "announced_model": "m",
            "status": "loaded",
            "vram_allocated_mb": first + i,
            "event_at": f"2026-01-01T00:00:{first:02}Z",
        }
        for i in range(number)
    ]
    database.execute("select registry_record_events(%s::jsonb, 9000000000)", [json.dumps(events)])


def tables_read_whole(database: psycopg.Connection) -> int:
    """How often model_deployments was read from end to end so far."""
    database.execute("select pg_stat_force_next_flush()")
    row = database.execute("select pg_stat_get_numscans('model_deployments'::regclass)").fetchone()
    assert row is not None
    return int(row[0])


def test_of_a_few_events_rows_are_looked_up_and_of_many_tables_are_read(database: psycopg.Connection) -> None:
    """In one session, whose plans are kept: neither kind is merged with the plans of the other."""
    for number in (FEW, MANY):  # nodes and deployments are made, and both kinds of plans
        recorded(database, number - FEW, number)
    database.execute("analyze model_deployments, gpu_nodes")
    for second in range(2, 20, 2):
        before = tables_read_whole(database)
        recorded(database, second, FEW)
        between = tables_read_whole(database)
        recorded(database, second + 1, MANY)
        assert (between - before, tables_read_whole(database) > between) == (0, True), second
