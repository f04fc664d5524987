"""Messages that the database refuses without a known reason."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from model_registry.entities.node import NodeReportBatch, RecordResult
from model_registry.errors import InvalidModel, RegistryError, StatementTimeout, StorageError, StorageUnavailable
from model_registry.fleet.event_recorder import MOST_IN_A_ROW, MOST_TIMEOUTS_IN_A_ROW, MOST_TRIES, EventRecorder
from model_registry.fleet.event_sources import Delivery
from model_registry.messaging.subjects import LOADED, REJECTED

NOW = datetime(2026, 11, 27, tzinfo=UTC)
POISON = "poison"
NAMELESS = "It names no model: it needs model_key, or provider_type and model_id."


class FakeRegistry:
    """A database that refuses some models, and says no more than that."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.rejected: list[str] = []
        self.refuses: set[str] = {POISON}
        self.refuses_rejections = False
        self.away = False
        self.fails: RegistryError | None = None
        """What every attempt meets."""
        self.most_events: int | None = None
        """What it can record before it cancels a statement."""
        self.attempts = 0

    async def record_reports(self, said: NodeReportBatch, *, actor: str) -> RecordResult:  # noqa: ARG002 (as the real one)
        self.attempts += 1
        if self.fails is not None and said.events:
            raise self.fails
        if self.most_events is not None and len(said.events) > self.most_events:
            raise StatementTimeout("too long")
        if self.away:
            raise StorageUnavailable("away")
        named = [event.announced_model for event in said.events]
        if self.refuses & set(named) or (self.refuses_rejections and said.rejected):
            raise StorageError("refused")
        self.kept += named
        self.rejected += [one.reason for one in said.rejected]
        return RecordResult(1)


class FakeLink:
    """Returns the given results."""

    connected = True

    def __init__(self) -> None:
        self.said: list[tuple[str, Any]] = []

    async def publish(self, subject: str, payload: bytes) -> bool:
        self.said.append((subject, orjson.loads(payload)))
        return True


class Bed:
    """A recorder between the two."""

    def __init__(self) -> None:
        self.registry = FakeRegistry()
        self.link = FakeLink()
        self.counted: Counter[str] = Counter()
        self._recorder = EventRecorder(
            self.registry,  # type: ignore[arg-type]
            self.link,  # type: ignore[arg-type]
            default_node="n",
            count=lambda outcome, number: self.counted.update({outcome: number}),
        )

    async def record(self, *models: str, times: int = 1) -> tuple[list[Delivery], list[Delivery]]:
        said = [{"node_id": "n", "provider_type": "ollama", "model_id": model} for model in models]
        return await self._record(said, times)

    async def refuse(self, number: int) -> None:
        """Have the poison refused so often, and something else taken each time."""
        for _ in range(number):
            _, left = await self.record(POISON, "a")
            assert len(left) == 1

    async def ignore(self) -> None:
        """A message that the database never sees."""
        await self._record([{"test": True}], 1)

    async def reject(self) -> None:
        """A message of which only the rejection is kept."""
        await self._record([{}], 1)

    async def _record(self, said: list[dict[str, Any]], times: int) -> tuple[list[Delivery], list[Delivery]]:
        messages = [Msg(_client=Client(), subject=LOADED, data=orjson.dumps(one)) for one in said]
        return await self._recorder.record([self._recorder.read(Delivery(one, NOW, times)) for one in messages])


@pytest.fixture
def bed() -> Bed:
    return Bed()


async def test_it_is_delivered_again_and_the_others_are_recorded(bed: Bed) -> None:
    await bed.refuse(MOST_TRIES - 2)

    done, left = await bed.record("a", POISON, "b")

    assert (len(done), len(left)) == (2, 1)
    assert sorted(set(bed.registry.kept)) == ["a", "b"]
    assert bed.link.said == []


async def test_at_last_it_is_rejected_while_others_are_taken(bed: Bed) -> None:
    await bed.refuse(MOST_TRIES - 1)

    done, left = await bed.record(POISON, "b")

    assert (len(done), len(left)) == (2, 0)
    ((subject, rejection),) = bed.link.said
    assert (subject, rejection["reason"]) == (REJECTED, bed.registry.rejected[0])
    assert rejection["reason"] == f"The database refused it {MOST_TRIES} times and took others. refused"
    assert bed.counted == {"recorded": MOST_TRIES, "failed": MOST_TRIES - 1, "rejected": 1}


async def test_nothing_is_given_up_while_nothing_can_be_recorded(bed: Bed) -> None:
    bed.registry.refuses = {"a", "b", POISON}

    for _ in range(MOST_TRIES * 2):
        assert [len(part) for part in await bed.record("a", "b", POISON, times=MOST_TRIES * 5)] == [0, 3]
        await bed.ignore()
        await bed.reject()  # that those can be kept says nothing of events

    bed.registry.refuses, bed.registry.away = {POISON}, True
    assert [len(part) for part in await bed.record("a", POISON)] == [0, 2]
    assert {said["reason"] for _, said in bed.link.said} == {NAMELESS}


async def test_deliveries_while_the_database_was_away_are_no_refusals(bed: Bed) -> None:
    bed.registry.away = True
    for times in range(1, MOST_TRIES * 5):
        await bed.record(POISON, times=times)
    bed.registry.away = False
    await bed.record("a")

    done, left = await bed.record(POISON, times=MOST_TRIES * 5)

    assert (len(done), len(left)) == (0, 1)
    assert bed.link.said == []


async def test_a_rejection_that_cannot_be_stored_is_still_published(bed: Bed) -> None:
    bed.registry.refuses_rejections = True
    await bed.refuse(MOST_TRIES - 1)

    done, left = await bed.record(POISON, "b")

    assert (len(done), len(left)) == (2, 0)
    assert [subject for subject, _ in bed.link.said] == [REJECTED]


OUTAGES: list[tuple[RegistryError, int]] = [
    (StorageUnavailable("away"), 1),
    (StorageError("of an unknown kind"), MOST_IN_A_ROW),
    (StatementTimeout("too long"), MOST_TIMEOUTS_IN_A_ROW),
]


@pytest.mark.parametrize(("failure", "most"), OUTAGES, ids=lambda value: type(value).__name__)
async def test_an_outage_is_not_taken_for_a_poison_event_and_ends_the_attempt(
    bed: Bed, failure: RegistryError, most: int
) -> None:
    """300 waiting events were sent 518 times in 12 s, halved down to single ones."""
    waiting = [f"model-{number}" for number in range(300)]
    bed.registry.fails = failure

    for _ in range(MOST_TRIES * 2):
        done, left = await bed.record(*waiting)
        assert (len(done), len(left)) == (0, 300)
        assert bed.registry.attempts <= most
        bed.registry.attempts = 0
    bed.registry.fails = None
    done, left = await bed.record(*waiting)

    assert (len(done), len(left), bed.registry.attempts) == (300, 0, 1)
    assert sorted(bed.registry.kept) == sorted(waiting)
    assert bed.link.said == []


async def test_a_part_that_takes_too_long_is_recorded_in_pieces(bed: Bed) -> None:
    bed.registry.most_events = 20

    done, left = await bed.record(*(f"model-{number}" for number in range(300)))

    assert (len(done), len(left)) == (300, 0)


async def test_one_event_without_a_known_fault_among_many_is_found_in_few_attempts(bed: Bed) -> None:
    done, left = await bed.record(*(f"model-{number}" for number in range(1000)), POISON, "last")

    assert (len(done), len(left)) == (1001, 1)
    assert bed.registry.attempts < 50


async def test_any_number_of_events_with_a_known_fault_are_rejected_at_once(bed: Bed) -> None:
    bed.registry.fails = InvalidModel("wrong")

    done, left = await bed.record(*(f"model-{number}" for number in range(64)))

    assert (len(done), len(left)) == (64, 0)
    assert bed.registry.rejected == ["wrong"] * 64
