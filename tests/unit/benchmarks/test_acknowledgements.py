"""The observer of acknowledgements reports events that are acknowledged but not in the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from acknowledgements import Acknowledgements, Ledger
from fleet_simulation import Model, Publication
from model_registry.messaging.subjects import STATUS

START = 1_800_000_000.0


@dataclass
class Acknowledgement:
    subject: str
    data: bytes


@dataclass
class Database:
    """Has only what is not missing."""

    missing: list[tuple[str, str | None, float]] = field(default_factory=list)
    asked: int = 0
    closed: bool = False

    async def execute(self, _query: str, values: tuple[list[str], ...]) -> Database:
        self.asked += len(values[0])
        return self

    async def fetchall(self) -> list[tuple[str, str | None, float]]:
        return self.missing


async def heard(watched: Acknowledgements, data: bytes = b"+ACK") -> None:
    message: Any = Acknowledgement("$JS.ACK.MESH_GPU.model-registry.1.17.1.1.0", data)
    await watched._hear(message)  # noqa: SLF001 (a subscription's own)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    found = Database()

    async def connect(*_: Any, **__: Any) -> Database:
        return found

    monkeypatch.setattr("psycopg.AsyncConnection.connect", connect)
    return found


def status(node: str) -> Publication:
    return Publication(START, node, None, START, STATUS, {})


async def test_what_is_acknowledged_and_not_committed_is_told(database: Database) -> None:
    watched = Acknowledgements("", "model_registry")
    watched.note(status("node-1"), 17)
    database.missing = [("node-1", None, START)]

    await heard(watched)
    await watched.look()

    assert watched.premature == [f"node-1 status of {START}"]
    assert watched.looked == 1


async def test_what_is_given_back_is_no_acknowledgement(database: Database) -> None:
    watched = Acknowledgements("", "model_registry")
    watched.note(status("node-1"), 17)

    await heard(watched, b"-NAK")
    await watched.look()

    assert database.asked == 0


async def test_an_acknowledgement_of_what_is_not_known_yet_is_followed_up_later(database: Database) -> None:
    watched = Acknowledgements("", "model_registry")
    await heard(watched)
    await watched.look()
    assert database.asked == 0

    watched.note(status("node-1"), 17)
    await watched.look()

    assert database.asked == 1


def test_the_ledger_speaks_of_every_model_once() -> None:
    ledger = Ledger(START, rate=2)
    said = [*ledger.until(START + 10), *ledger.until(START + 200)]
    ledger.closed = True

    assert list(ledger.until(START + 300)) == []
    assert len({(one.node, one.model) for one in said}) == len(said) == 401
    assert ledger.expected() == {(one.node, one.model): Model("loaded") for one in said}
    assert max(sum(one.node == node for one in said) for node in {one.node for one in said}) <= 200
