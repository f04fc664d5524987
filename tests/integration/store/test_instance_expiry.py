"""`registry_renew_instances`: who does not renew is gone, if the registry could receive it. The tests set the clock."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
GAP, RETIRED, TTL = 5, 3, 30


class Registry:
    """Replicas that pass renewals on, at a time that the test sets."""

    def __init__(self, database: psycopg.Connection) -> None:
        self.database = database
        self.now = 0.0
        database.execute("insert into model_services (model_type) values ('LSTM')")

    def add(self, *names: str, ttl: float | None = TTL, status: str = "active") -> None:
        for name in names:
            self.database.execute(
                "insert into service_instances (service_id, model_service_id, service_url, capabilities, ttl_seconds, "
                "status, renewed_at) select %s, id, 'http://a', '[]', %s, %s, %s from model_services",
                (name, ttl, status, self.at()),
            )

    def at(self) -> datetime:
        return BEGAN + timedelta(seconds=self.now)

    def tell(self, *renewed: str, gap: int | None = GAP) -> Any:
        row = self.database.execute(
            "select registry_renew_instances(%s, %s, %s, known_revision => 0, actor => 'silence', clock => %s)",
            (json.dumps(renewed), gap, RETIRED, self.at()),
        ).fetchone()
        return row and row[0]

    def until(self, second: float, *renewed: str) -> None:
        """Tell every second, up to a time."""
        while self.now < second:
            self.now += 1
            self.tell(*renewed)

    @property
    def names(self) -> set[str]:
        return {row[0] for row in self.database.execute("select service_id from service_instances")}


@pytest.fixture
def registry(database: psycopg.Connection) -> Registry:
    return Registry(database)


def test_who_renews_stays_and_who_stops_is_gone(registry: Registry) -> None:
    registry.add("renews", "silent")
    registry.add("for ever", ttl=None)

    registry.until(TTL + GAP, "renews")
    assert registry.names == {"renews", "silent", "for ever"}
    registry.until(TTL + GAP + 2, "renews")

    assert registry.names == {"renews", "for ever"}


def test_to_go_is_a_change_and_to_renew_is_none(registry: Registry) -> None:
    registry.add("a", "b")
    before = registry.tell()["revision"]

    registry.until(TTL, "a")
    assert registry.tell("a")["revision"] == before
    registry.until(TTL + GAP + 2, "a")

    change = registry.tell()["changes"][-1]
    shown = change["table"], change["operation"], change["actor"]
    assert shown == ("service_instances", "delete", "silence")


def test_silence_does_not_count_while_nobody_could_receive(registry: Registry) -> None:
    registry.add("a")
    registry.until(10)

    registry.now = 10_000  # the database was away, or every replica
    registry.until(10_000 + TTL + GAP)

    assert registry.names == {"a"}
    registry.until(10_000 + TTL + GAP + 2)
    assert registry.names == set()


def test_a_clock_that_is_set_back_keeps_nobody_for_ever(registry: Registry) -> None:
    registry.now = 100_000
    registry.add("a")
    registry.tell()

    registry.now = 0
    registry.until(TTL + GAP + 2)

    assert registry.names == set()


def test_what_is_retired_goes_when_no_replica_holds_it(registry: Registry) -> None:
    registry.add("held", "unused", ttl=None, status="retired")

    registry.until(RETIRED + 2, "held")
    assert registry.names == {"held"}
    registry.until(2 * RETIRED + 4)

    assert registry.names == set()


def test_what_is_retired_stays_until_its_jobs_have_ended(registry: Registry, database: psycopg.Connection) -> None:
    registry.add("trains", "waited for", ttl=None, status="retired")
    for service_id, phase in (("trains", "preparing"), ("waited for", "queued")):
        database.execute(
            "insert into service_jobs (id, model_type, phase, service_id, total_seconds, request_digest, created_by) "
            "values (gen_random_uuid(), 'LSTM', %s, %s, 600, '', 'tests')",
            (phase, service_id),
        )

    registry.until(RETIRED + 2)
    assert registry.names == {"trains"}, "a job that waits may go to any instance"
    database.execute("update service_jobs set phase = 'succeeded', finished_at = now()")
    registry.until(RETIRED + 4)

    assert registry.names == set()


def test_one_replica_decides_at_a_time(registry: Registry, database_url: str) -> None:
    registry.add("a")
    registry.tell()
    with psycopg.connect(database_url) as other:
        other.execute("select pg_advisory_xact_lock(7366113290413)")
        registry.until(TTL + GAP + 5)
        assert registry.names == {"a"}


def test_a_replica_that_takes_no_renewals_renews_what_it_uses_and_declares_nobody_silent(registry: Registry) -> None:
    registry.add("used", "a")
    registry.add("retired", ttl=None, status="retired")
    registry.tell()
    for _ in range(TTL + 2 * GAP):
        registry.now += 1
        registry.tell("used", "retired", gap=None)
    assert registry.names == {"used", "a", "retired"}

    registry.until(registry.now + TTL + GAP)

    assert registry.names == {"used", "a"}, "silence counts anew from where it could be noticed"
