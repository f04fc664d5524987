"""With any existing streams on the NATS server, events are consumed as well as possible, and no stream is changed."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import psycopg
import pytest
from nats.js.api import AckPolicy, ConsumerConfig, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from model_registry.fleet import jetstream_setup as event_plan
from model_registry.fleet.jetstream_setup import CONSUMER, STREAM, StreamLimits, find_plan
from model_registry.messaging.subjects import EVENT_SUBJECTS, LOADED, STATUS, UNLOADED
from support.fleet import Fleet, consuming, fleet_on, nats_status, outcomes
from support.nats_server import NatsServer
from support.replica import Replica
from support.waiting import until

LIMITS = StreamLimits(max_age_seconds=3600, max_bytes=2**20, replicas=1, in_flight=1000)


def models(database: psycopg.Connection) -> dict[str, str]:
    rows = database.execute("select announced_model, status from model_deployments").fetchall()
    return {str(model): str(status) for model, status in rows}


async def degraded(replica: Replica, reason: str) -> None:
    """Wait until /readyz says that NATS is there, but not as it should be, for this reason."""

    async def look() -> bool:
        return reason in (await nats_status(replica, "degraded") or "")

    await until(look)


async def say_three_things(fleet: Fleet) -> None:
    await fleet.load("one")
    await fleet.say(UNLOADED, {"model_key": "ollama/two"})
    await fleet.say(STATUS, {"data": {"loaded_models": {"ollama/three": {}}}})


THREE_THINGS = {"one": "loaded", "two": "unloaded", "three": "loaded"}


async def test_the_stream_and_the_consumer_have_limits(fleet: Fleet, consumer: Replica) -> None:
    stream = (await fleet.js.stream_info(STREAM)).config
    assert (stream.subjects, stream.max_age, stream.max_bytes) == (["mesh.gpu.>"], 7 * 24 * 3600, 256 * 2**20)
    config = (await fleet.consumer()).config
    assert (config.ack_policy, config.ack_wait, config.max_ack_pending) == (AckPolicy.EXPLICIT, 10, 10_000)
    assert set(config.filter_subjects or ()) == set(EVENT_SUBJECTS)
    assert await nats_status(consumer, "ok") == "consuming MESH_GPU with JetStream"


async def test_replicas_that_start_together_agree_on_one_stream_and_one_consumer(nats_url: str) -> None:
    async with AsyncExitStack() as exits:
        fleets = [await exits.enter_async_context(fleet_on(nats_url)) for _ in range(6)]
        for _ in range(5):
            plans = await asyncio.gather(*(find_plan(fleet.client, LIMITS) for fleet in fleets))
            config = (await fleets[0].consumer()).config

            assert {plan.streams for plan in plans} == {(STREAM,)}
            assert {plan.loose for plan in plans} == {()}
            assert set(config.filter_subjects or ()) == set(EVENT_SUBJECTS)
            await fleets[0].js.delete_stream(STREAM)


async def test_a_stream_that_keeps_the_events_already_is_used_as_it_is(
    fleet: Fleet, nats_url: str, start_replica: Any, database: psycopg.Connection
) -> None:
    theirs = StreamConfig(name="EVERYTHING", subjects=["mesh.>"], storage=StorageType.MEMORY, max_msgs=1000)
    await fleet.js.add_stream(theirs)
    fleet.stream = "EVERYTHING"
    before = (await fleet.js.stream_info("EVERYTHING")).config

    replica: Replica = await start_replica(NATS_URL=nats_url)
    await consuming(replica)
    await say_three_things(fleet)
    await fleet.settled()

    assert models(database) == THREE_THINGS
    assert (await fleet.js.stream_info("EVERYTHING")).config == before
    with pytest.raises(NotFoundError):
        await fleet.js.stream_info(STREAM)
    assert await nats_status(replica, "ok") == "consuming EVERYTHING with JetStream"


async def test_our_own_stream_with_other_settings_is_used_as_it_is(
    fleet: Fleet, nats_url: str, start_replica: Any, database: psycopg.Connection
) -> None:
    await fleet.js.add_stream(StreamConfig(name=STREAM, subjects=["mesh.gpu.>"], max_age=60, max_msgs=100))
    before = (await fleet.js.stream_info(STREAM)).config

    await consuming(await start_replica(NATS_URL=nats_url))
    await say_three_things(fleet)
    await fleet.settled()

    assert models(database) == THREE_THINGS
    assert (await fleet.js.stream_info(STREAM)).config == before


async def test_events_that_no_stream_keeps_are_consumed_live_and_readyz_reports_it(
    fleet: Fleet, nats_url: str, start_replica: Any, database: psycopg.Connection
) -> None:
    await fleet.js.add_stream(name="MODELS", subjects=["mesh.gpu.model.>"])
    fleet.stream = "MODELS"
    replica: Replica = await start_replica(NATS_URL=nats_url)
    await degraded(
        replica,
        "mesh.gpu.status.v1: consumed, but events published while no replica listens are missed: "
        "the stream MODELS does not keep them.",
    )

    await say_three_things(fleet)
    await fleet.settled()

    async def all_heard() -> bool:
        return models(database) == THREE_THINGS

    await until(all_heard)

    await fleet.js.update_stream(name="MODELS", subjects=["mesh.gpu.>"])
    await consuming(replica)

    await fleet.say(STATUS, {"data": {"loaded_models": {"ollama/four": {}}}})
    await fleet.settled()
    assert "four" in models(database)


async def test_a_consumer_without_our_filter_does_not_make_us_answer_our_own_answers(
    fleet: Fleet, nats_url: str, start_replica: Any, database: psycopg.Connection
) -> None:
    await fleet.js.add_stream(name=STREAM, subjects=["mesh.gpu.>"])
    await fleet.js.add_consumer(STREAM, ConsumerConfig(durable_name=CONSUMER, ack_policy=AckPolicy.EXPLICIT))
    replica: Replica = await start_replica(NATS_URL=nats_url)
    await consuming(replica)

    await fleet.say(LOADED, {})
    await fleet.say("mesh.gpu.heartbeat.v3", {})
    await fleet.load("one")
    await fleet.settled()
    await fleet.settled()  # the rejection came into the stream after the first check

    assert await outcomes(replica) == {"recorded": 1, "rejected": 1, "ignored": 2 + fleet.checks}
    assert len(fleet.rejected) == 1
    assert models(database) == {"one": "loaded"}


async def test_a_stream_that_is_deleted_is_made_again(
    fleet: Fleet, consumer: Replica, database: psycopg.Connection
) -> None:
    await fleet.js.delete_stream(STREAM)

    async def made_again() -> bool:
        try:
            await fleet.consumer()
        except NotFoundError:
            return False
        return True

    await until(made_again)
    await consuming(consumer)
    await fleet.load("one")
    await fleet.settled()

    assert models(database) == {"one": "loaded"}


async def test_without_a_stream_events_are_consumed_live(
    nats_server: NatsServer, start_replica: Any, database: psycopg.Connection
) -> None:
    nats_server.kill()
    nats_server.more = {"jetstream": {"store_dir": "jetstream", "max_file_store": 1024}}
    nats_server.start()
    replica: Replica = await start_replica(NATS_URL=nats_server.url)
    await degraded(replica, "JetStream refuses: insufficient storage resources available")

    async with fleet_on(nats_server.url) as fleet:
        await fleet.load("one")

        async def heard() -> bool:
            return models(database) == {"one": "loaded"}

        await until(heard)


# Without JetStream --------------------------------------------------------------------------------------------------


@pytest.fixture
def plain_server(nats_server: NatsServer) -> NatsServer:
    """A NATS server that keeps nothing."""
    nats_server.kill()
    nats_server.jetstream = False
    nats_server.start()
    return nats_server


async def test_without_jetstream_each_event_reaches_one_replica_and_readyz_says_what_is_missing(
    plain_server: NatsServer, start_replica: Any, database: psycopg.Connection
) -> None:
    replicas: list[Replica] = [await start_replica(NATS_URL=plain_server.url) for _ in range(2)]
    for replica in replicas:
        await degraded(replica, f"{', '.join(EVENT_SUBJECTS)}: consumed, but")
        await degraded(replica, "missed: the server has no JetStream.")
    async with fleet_on(plain_server.url) as fleet:
        for i in range(100):
            await fleet.load(f"m{i}")
        await fleet.say(LOADED, {})
        await fleet.say(LOADED, {"test": True})

        async def all_counted() -> bool:
            return await outcomes(*replicas) == {"recorded": 100, "rejected": 1, "ignored": 1}

        await until(all_counted)
        assert len(models(database)) == 100

        async def said() -> bool:
            return bool(fleet.rejected)

        await until(said)
        assert [rejection["payload"] for rejection in fleet.rejected] == ["{}"]


async def test_without_jetstream_an_event_waits_for_the_database_and_nobody_is_answered(
    plain_server: NatsServer, start_replica: Any, database: psycopg.Connection, stack: Any
) -> None:
    """A publisher that asks for JetStream's answer must not take ours for one."""
    replica: Replica = await start_replica(NATS_URL=plain_server.url)
    await degraded(replica, "missed: the server has no JetStream.")
    async with fleet_on(plain_server.url) as fleet:
        inbox = fleet.client.new_inbox()
        answers = await fleet.client.subscribe(inbox)
        stack.postgrest.kill()
        try:
            said = b'{"provider": "ollama", "model_id": "one"}'
            await fleet.client.publish(LOADED, said, reply=inbox)

            async def failed() -> bool:
                return (await outcomes(replica)).get("failed", 0) > 0

            await until(failed)
        finally:
            stack.postgrest.start()

        async def recorded() -> bool:
            return models(database) == {"one": "loaded"}

        await until(recorded)
        await fleet.load("two")  # what is done about the first is done before the second is recorded

        async def both_recorded() -> bool:
            return (await outcomes(replica)).get("recorded") == 2

        await until(both_recorded)
        await fleet.client.flush()
        assert answers.pending_msgs == 0


async def test_without_jetstream_no_event_is_lost_to_a_subscription_of_before_a_restart(
    plain_server: NatsServer, start_replica: Any, database: psycopg.Connection
) -> None:
    replica: Replica = await start_replica(NATS_URL=plain_server.url)
    await degraded(replica, "missed: the server has no JetStream.")
    plain_server.kill()
    await until(partial(nats_status, replica, "down"))

    async def given_up() -> bool:
        return replica.state.events is not None and "connection was lost" in replica.state.events._trouble  # noqa: SLF001

    await until(given_up)
    plain_server.start()
    await degraded(replica, "missed: the server has no JetStream.")

    async with fleet_on(plain_server.url) as fleet:
        for i in range(50):
            await fleet.load(f"m{i}")

        async def all_heard() -> bool:
            return len(models(database)) == 50

        await until(all_heard, 5)


async def test_jetstream_is_used_as_soon_as_it_is_there(
    plain_server: NatsServer, start_replica: Any, database: psycopg.Connection
) -> None:
    replica: Replica = await start_replica(NATS_URL=plain_server.url)
    await degraded(replica, "missed: the server has no JetStream.")

    plain_server.kill()
    plain_server.jetstream = True
    plain_server.start()
    await consuming(replica)

    async with fleet_on(plain_server.url) as fleet:
        await fleet.load("one")
        await fleet.settled()
    assert models(database) == {"one": "loaded"}


async def test_a_server_restarted_without_jetstream_is_still_listened_to(
    nats_server: NatsServer, start_replica: Any, database: psycopg.Connection
) -> None:
    replica: Replica = await start_replica(NATS_URL=nats_server.url)
    await consuming(replica)

    nats_server.kill()
    nats_server.jetstream = False
    nats_server.start()
    await degraded(replica, "missed: the server has no JetStream.")
    async with fleet_on(nats_server.url) as fleet:
        await fleet.load("one")

        async def heard() -> bool:
            return models(database) == {"one": "loaded"}

        await until(heard)


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [
        (">", set(EVENT_SUBJECTS)),
        ("mesh.gpu.>", set(EVENT_SUBJECTS)),
        ("mesh.gpu.model.*.v1", {LOADED, UNLOADED}),
        ("mesh.*.status.v1", {STATUS}),
        (LOADED, {LOADED}),
        ("mesh.gpu.status.v1.>", set()),
        ("mesh.gpu", set()),
        ("mesh.gpu.*", set()),
    ],
)
def test_a_pattern_covers_these_subjects(pattern: str, covered: set[str]) -> None:
    assert {subject for subject in EVENT_SUBJECTS if event_plan._covers(pattern, subject)} == covered  # noqa: SLF001
