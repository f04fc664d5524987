"""Query plans of what is asked most: a few events and many have their own, all are kept, and follow indexes."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import psycopg
import pytest

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


def tables_read_whole(database: psycopg.Connection, table: str = "model_deployments") -> int:
    """How often a table was read from end to end so far."""
    database.execute("select pg_stat_force_next_flush()")
    row = database.execute("select pg_stat_get_numscans(%s::regclass)", [table]).fetchone()
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


CHANGES = "select registry_changes_since({revision}, {entry})"
EVENT = """select registry_record_events('[{{"node_id": "node-0", "provider_type": "ollama", "announced_model": "m",
    "status": "loaded", "vram_allocated_mb": {number}, "event_at": "{at}"}}]', {revision}, known_entry => {entry},
    heard => '{{"node-0": "{at}"}}', most_deployments => 9, most_nodes => 9000)"""
HEARTBEAT = """select registry_record_events('[]', {revision}, known_entry => {entry}, most_deployments => 9,
    most_nodes => 9000,
    statuses => '[{{"node_id": "node-0", "digest": "d", "said_at": "{at}", "received_at": "{at}"}}]')"""


def asked(database: psycopg.Connection, question: str, number: int) -> None:
    """Ask by somebody who knows all but the newest change."""
    known = database.execute(
        "select revision, entry_id from registry_changes order by revision desc offset 1 limit 1"
    ).fetchone()
    assert known is not None
    at = datetime(2026, 1, 2, 0, 0, number, tzinfo=UTC).isoformat()
    text = question.format(revision=known[0], entry=known[1], number=number, at=at)
    database.execute(text.encode(), prepare=False)


@pytest.mark.parametrize("question", [CHANGES, EVENT, HEARTBEAT])
def test_plans_are_kept(database: psycopg.Connection, question: str) -> None:
    """Planning is most of what a poll or one event would cost. What is asked itself is planned each time."""
    for number in range(40):  # the longer the log, the less Postgres likes one plan for all
        recorded(database, number, MANY)
    database.execute("analyze registry_changes")
    for number in range(10):
        asked(database, question, number)
    planned: list[str | None] = []

    def note(message: psycopg.errors.Diagnostic) -> None:
        if message.message_primary == "PLANNER STATISTICS" and message.context is not None:
            planned.append(message.context)

    database.add_notice_handler(note)
    database.execute("set client_min_messages to log")
    database.execute("set log_planner_stats to on")
    for number in range(10, 20):
        asked(database, question, number)
    assert planned == []


@pytest.mark.parametrize("analysed", [False, True])
def test_few_changes_are_looked_up_in_a_long_log(database: psycopg.Connection, *, analysed: bool) -> None:
    """One plan serves who knows all and who knows nothing, whatever the statistics of the log are."""
    for number in range(20):
        recorded(database, number, MANY)
    if analysed:
        database.execute("analyze registry_changes")
    before = tables_read_whole(database, "registry_changes")
    asked(database, CHANGES, 1)
    database.execute("select registry_changes_since(0)")
    assert tables_read_whole(database, "registry_changes") == before


def test_an_event_does_not_read_all_nodes(database: psycopg.Connection) -> None:
    """To learn whether there is room for one more."""
    recorded(database, 0, MANY)
    database.execute("analyze gpu_nodes")
    asked(database, EVENT, 1)
    before = tables_read_whole(database, "gpu_nodes")
    for number in range(2, 20):
        asked(database, EVENT, number)
    assert tables_read_whole(database, "gpu_nodes") == before
