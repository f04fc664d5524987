"""GPU events on the real NATS become rows, in every form, with repeats, and in any order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.rows import dict_row

from model_registry.entities.deployment import DeploymentEvent
from model_registry.messaging.subjects import LOADED, REJECTED, STATUS, UNLOADED
from support.catalogue import add_model, add_provider, get
from support.fleet import Fleet, consuming, outcomes
from support.fleet_truth import TELLING, Event, Status, shown, truth
from support.paths import FIXTURES
from support.profiles import on_the_stack
from support.replica import Replica
from support.waiting import until

FORMS: list[dict[str, Any]] = json.loads((FIXTURES / "gpu-events.json").read_text())

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
QWEN = "Qwen/Qwen3-32B"
ROWS = {
    # node, provider_type, announced_model: status, vram_allocated_mb, event_at (None: when it was received)
    ("default", "ollama", "qwen3:8b"): ("loaded", 6144, "2026-03-04T10:04:12"),
    ("default", "tts", "f5-tts"): ("error", 3072, "2026-03-04T10:04:12"),
    ("default", "vllm", QWEN): ("loaded", 24576, "2026-03-04T10:04:12"),
    ("gpu-a", "ollama", "qwen3:8b"): ("loaded", 8000, None),
    ("gpu-a", "vllm", QWEN): ("unloaded", None, "2025-01-15T12:30:00"),
    ("gpu-b", "ollama", "gemma3:12b"): ("error", None, "2025-01-15T11:59:30"),
    ("gpu-b", "vllm", QWEN): ("loaded", 40960, "2025-01-15T12:00:00"),
    ("gpu-c", "ollama", "phi4:14b"): ("loaded", 9100, "2026-03-04T10:04:12"),
}
UNLISTED = {
    *(("default", "ollama", "gemma3:12b"), ("default", "ollama", "phi4:14b"), ("default", "tts", "piper")),
    *(("default", "tts", "kokoro"), ("default", "vllm", "default"), ("default", "vllm", LLAMA)),
    ("gpu-c", "ollama", "mistral:7b"),
}
"""Models that newer status messages do not list are unloaded, regardless of earlier events."""
OTHER_COLUMNS: dict[tuple[str, str, str], dict[str, Any]] = {
    ("default", "ollama", "qwen3:8b"): {"loaded_at": "2026-03-04T10:00:00.000001"},
    ("default", "tts", "f5-tts"): {"error_message": "Failed to load model", "loaded_at": None},
    ("default", "vllm", QWEN): {"loaded_at": "2026-03-04T10:04:12"},
    ("gpu-b", "ollama", "gemma3:12b"): {"error_message": "CUDA out of memory", "loaded_at": None},
    ("gpu-b", "vllm", QWEN): {"endpoint": "http://gpu-b:8000/v1", "loaded_at": "2025-01-15T12:00:00"},
    ("gpu-c", "ollama", "phi4:14b"): {"loaded_at": "2026-03-04T09:00:00"},
}
"""Where they are not null; every row has its metadata empty, as what is kept of this fixture's belongs to a loser."""


Key = tuple[str, str, str]


def rows(database: psycopg.Connection) -> dict[Key, dict[str, Any]]:
    """Deployments as the database has them, by node, provider type and model."""
    with database.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute("select * from model_deployments").fetchall()
    return {(row["node_id"], row["provider_type"], row["announced_model"]): row for row in found}


def at(row: dict[str, Any], column: str = "event_at") -> str | None:
    return None if row[column] is None else row[column].astimezone(UTC).replace(tzinfo=None).isoformat()


async def test_every_documented_form_gives_the_right_rows_also_twice(
    fleet: Fleet, consumer: Replica, database: psycopg.Connection
) -> None:
    began = datetime.now(UTC)
    idle = [form for form in FORMS if form["name"] == "status of an idle node"]
    for _ in range(2):
        for form in FORMS:
            if form not in idle:
                await fleet.say(form["subject"], form["payload"])
        await fleet.settled()

    found = rows(database)

    assert {key: (row["status"], row["vram_allocated_mb"]) for key, row in found.items()} == {
        **{key: row[:2] for key, row in ROWS.items()},
        **dict.fromkeys(UNLISTED, ("unloaded", None)),
    }
    assert {key: at(found[key]) for key, row in ROWS.items() if row[2]} == {
        k: row[2] for k, row in ROWS.items() if row[2]
    }
    assert began <= found["gpu-a", "ollama", "qwen3:8b"]["event_at"] <= datetime.now(UTC)
    for key, row in found.items():
        wanted = OTHER_COLUMNS.get(key, {})
        assert (row["endpoint"], row["error_message"]) == (wanted.get("endpoint"), wanted.get("error_message")), key
        assert "loaded_at" not in wanted or at(row, "loaded_at") == wanted["loaded_at"], key
        assert (row["model_id"], row["metadata"]) == (None, {}), key

    await fleet.say(STATUS, idle[0]["payload"])
    await fleet.settled()
    assert {row["status"] for key, row in rows(database).items() if key[0] == "default"} == {"unloaded"}

    rejected = sum("rejected" in form for form in FORMS)
    assert len(await until_rejected(fleet, 2 * rejected)) == 2 * rejected
    assert await outcomes(consumer) == {
        "recorded": 2 * sum(bool(form["events"]) for form in FORMS) + 1,
        "rejected": 2 * rejected,
        "ignored": 2 + fleet.checks,
    }


async def until_rejected(fleet: Fleet, number: int) -> list[dict[str, Any]]:
    async def look() -> bool:
        return len(fleet.rejected) >= number

    await until(look)
    return fleet.rejected


async def test_an_event_that_comes_again_is_no_change(fleet: Fleet, consumer: Replica) -> None:
    timed = [form for form in FORMS if form["events"] and all(event["event_at"] for event in form["events"])]
    for form in timed:
        await fleet.say(form["subject"], form["payload"])
    await fleet.settled()
    before = consumer.state.registry.snapshot.revision

    for form in reversed(timed):
        await fleet.say(form["subject"], form["payload"])
    await fleet.settled()
    await consumer.state.registry.refresh()

    assert consumer.state.registry.snapshot.revision == before > 0


# Any order ----------------------------------------------------------------------------------------------------------


def said(published: Sequence[dict[str, Any]]) -> list[Event | Status]:
    """What these forms say when they are published in this order.

    An event without a time happened when NATS got it: after everything with a time (those of the fixture are long
    past), and after everything published before it.
    """
    found: list[Event | Status] = []
    for index, form in enumerate(published):
        events = [
            Event(
                event["node_id"],
                f"{event['provider_type']}/{event['announced_model']}",
                (0, event["event_at"]) if event["event_at"] else (1, f"{index:06}"),
                {name: value for name, value in event.items() if name in ("status", *TELLING)},
            )
            for event in form["events"]
        ]
        if form["subject"] == STATUS and events:
            found.append(Status(events[0].node, events[0].at, {event.model: event.content for event in events}))
        elif form["name"] == "status of an idle node":
            found.append(Status("default", (0, "2026-03-04T10:04:17+00:00")))
        else:
            found += events
    return found


@on_the_stack()
@given(st.lists(st.sampled_from([form for form in FORMS if form["events"]]), max_size=8), st.permutations(FORMS))
async def test_in_any_order_and_with_any_repeats_the_newest_event_decides(
    fleet: Fleet,
    consumer: Replica,
    database: psycopg.Connection,
    more: list[dict[str, Any]],
    forms: list[dict[str, Any]],
) -> None:
    database.execute("delete from model_deployments; delete from gpu_nodes")
    published = forms + more
    for form in published:
        await fleet.say(form["subject"], form["payload"])
    await fleet.settled()

    found = {(key[0], f"{key[1]}/{key[2]}"): shown(row) for key, row in rows(database).items()}

    assert found == truth(said(published))
    assert consumer.state.registry.last_error is None


DECIDED = ["status", "vram_allocated_mb", "endpoint", "error_message", "loaded_at", "event_at", "metadata"]
TIMES = [datetime(2025, 1, 1, 12, 0, second, tzinfo=UTC) for second in range(3)]
SAID: dict[str, list[Any]] = {
    "announced_model": ["a", "b"],
    "status": ["loaded", "lost", "loading", "error", "unloaded"],
    "vram_allocated_mb": [None, 0, 1],
    "endpoint": [None, "", "http://a"],
    "error_message": [None, "", "broken"],
    "loaded_at": [None, *TIMES],
    "event_at": TIMES,
    "metadata": [{}, {"model_name": "x"}, {"model_name": "y"}],
}
ONE_THING = st.one_of(*(st.fixed_dictionaries({name: st.sampled_from(values)}) for name, values in SAID.items()))
# Events that differ in a thing or two, so that ties are common.
EVENTS = st.lists(ONE_THING, max_size=2).map(
    lambda things: DeploymentEvent(
        **{"node_id": "n", "provider_type": "ollama", **{name: values[0] for name, values in SAID.items()}}
        | {name: value for thing in things for name, value in thing.items()}
    )
)


@on_the_stack()
@given(st.lists(EVENTS, min_size=2, max_size=6), st.data())
async def test_delivered_in_any_order_and_any_batches_the_rows_are_the_same(
    replica: Replica, database: psycopg.Connection, events: list[DeploymentEvent], data: st.DataObject
) -> None:
    """Redelivery and several replicas mix the order of the stream; the times of the events stay what they are."""

    async def after(order: Sequence[DeploymentEvent], cut: int) -> list[Any]:
        database.execute("delete from model_deployments")
        for batch in filter(None, (order[:cut], order[cut:])):
            await replica.state.registry.record(batch, actor="test")
        return [[row[column] for column in DECIDED] for _, row in sorted(rows(database).items())]

    once = await after(events, len(events))
    shuffled = data.draw(st.permutations(events * 2))

    assert await after(shuffled, data.draw(st.integers(0, len(shuffled)))) == once


# Links, unloading, refusals -------------------------------------------------------------------------------------------


async def listed(consumer: Replica, **filters: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await get(consumer.client, "/api/deployments", **filters))["items"]
    return items


async def test_an_unknown_model_is_kept_and_shown_and_linked_when_it_is_catalogued(
    fleet: Fleet, consumer: Replica
) -> None:
    await fleet.say(LOADED, {"model_key": "vllm/default", "vram_mb": 16384, "ts": 1772000000})
    await fleet.settled()
    (unknown,) = await listed(consumer)
    assert (unknown["announced_model"], unknown["model_id"], unknown["model_name"]) == ("default", None, None)

    await add_provider(consumer.client, "lab", type="vllm", api_base="http://lab:8000/v1")
    model = await add_model(consumer.client, "house-model", "lab", model_id="default")

    (known,) = await listed(consumer)
    assert (known["id"], known["model_id"], known["model_name"]) == (unknown["id"], model["id"], "house-model")


async def test_a_catalogued_model_is_linked_as_soon_as_it_is_loaded(fleet: Fleet, consumer: Replica) -> None:
    await add_provider(consumer.client)
    model = await add_model(consumer.client, "qwen", model_id="qwen3:8b")

    await fleet.load("qwen3:8b")
    await fleet.settled()

    assert [row["model_id"] for row in await listed(consumer, status="loaded")] == [model["id"]]


async def test_unloading_is_a_status_and_what_is_older_does_not_bring_the_model_back(
    fleet: Fleet, consumer: Replica
) -> None:
    await fleet.say(LOADED, {"model_key": "ollama/qwen3:8b", "vram_mb": 6144, "ts": 1772000000})
    await fleet.say(UNLOADED, {"model_key": "ollama/qwen3:8b", "ts": 1772000060})
    await fleet.say(LOADED, {"model_key": "ollama/qwen3:8b", "vram_mb": 6144, "ts": 1772000030})
    await fleet.settled()

    (row,) = await listed(consumer)

    assert (row["status"], row["vram_allocated_mb"], row["loaded_at"]) == ("unloaded", None, None)
    assert await listed(consumer, status="loaded") == []


async def test_events_without_a_time_count_in_the_order_of_the_stream(fleet: Fleet, consumer: Replica) -> None:
    for status in ("loaded", "unloaded", "loaded"):
        await fleet.load("a", status=status)
    for status in ("unloaded", "loaded", "unloaded"):
        await fleet.load("b", status=status)
    await fleet.settled()

    assert {row["announced_model"]: row["status"] for row in await listed(consumer)} == {"a": "loaded", "b": "unloaded"}


async def test_an_event_from_the_future_counts_from_when_it_was_received(fleet: Fleet, consumer: Replica) -> None:
    await fleet.load("a", ts="2999-01-01T00:00:00Z")
    await fleet.load("a", status="unloaded")
    await fleet.settled()

    assert [row["status"] for row in await listed(consumer)] == ["unloaded"]


async def test_what_cannot_be_understood_is_answered_with_the_reason_and_never_comes_again(
    fleet: Fleet, consumer: Replica
) -> None:
    await fleet.say(LOADED, {"model_key": "qwen3:8b"})
    await fleet.say(STATUS, b"\xff not json")
    await fleet.say("mesh.minimax.model.loaded.v1", {})
    await fleet.load("good")
    info = await fleet.settled()

    first, second = await until_rejected(fleet, 2)
    assert {key: first[key] for key in ("type", "subject", "reason", "payload")} == {
        "type": REJECTED,
        "subject": LOADED,
        "reason": "model_key is 'qwen3:8b', not <provider>/<model_id>.",
        "payload": '{"model_key":"qwen3:8b"}',
    }
    assert (second["subject"], second["payload"]) == (STATUS, "\ufffd not json")
    assert abs(first["ts"] - datetime.now(UTC).timestamp()) < 60
    assert info.num_redelivered == 0
    assert await outcomes(consumer) == {"recorded": 1, "rejected": 2, "ignored": fleet.checks}
    assert [row["announced_model"] for row in await listed(consumer)] == ["good"]


async def test_a_huge_payload_is_answered_with_its_beginning(fleet: Fleet, consumer: Replica) -> None:
    await fleet.say(LOADED, b"\x01" * 900_000)
    await fleet.settled()

    (rejection,) = await until_rejected(fleet, 1)
    assert rejection["payload"] == "\x01" * 16384
    assert await outcomes(consumer) == {"rejected": 1, "ignored": fleet.checks}


async def test_a_check_of_the_wiring_is_counted_and_nothing_else(fleet: Fleet, consumer: Replica) -> None:
    for subject in (LOADED, UNLOADED, STATUS):
        await fleet.say(subject, {"test": True})
    await fleet.settled()

    assert await outcomes(consumer) == {"ignored": 3 + fleet.checks}
    assert (await listed(consumer), fleet.rejected) == ([], [])


@pytest.fixture
def refusing_database(database: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A database that refuses one model, for a reason the service knows nothing of."""
    database.execute("alter table model_deployments add constraint no_poison check (announced_model <> 'poison')")
    yield database
    database.execute("alter table model_deployments drop constraint no_poison")


async def test_an_event_that_the_database_refuses_does_not_keep_the_others_of_its_batch_out(
    fleet: Fleet, nats_url: str, refusing_database: psycopg.Connection, start_replica: Any
) -> None:
    await fleet.js.add_stream(name=fleet.stream, subjects=["mesh.gpu.>"])
    models = [f"m{i}" for i in range(20)]
    for model in [*models[:7], "poison", *models[7:]]:
        await fleet.load(model)
    await fleet.load("poison", node="gpu-b")
    replica: Replica = await start_replica(NATS_URL=nats_url)
    await consuming(replica)
    await fleet.settled()

    assert {key[2] for key in rows(refusing_database)} == set(models)
    rejections = await until_rejected(fleet, 2)
    assert [json.loads(rejection["payload"])["model_id"] for rejection in rejections] == ["poison", "poison"]
    assert {rejection["reason"] for rejection in rejections} == {"A value is outside the range that the table allows."}
    assert await outcomes(replica) == {"recorded": 20, "rejected": 2, "ignored": fleet.checks}
