"""NATS, the database and replicas fail and recover: no acknowledged event is lost, and no operator is needed."""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial
from typing import Any

import orjson
import psycopg
import pytest
from nats.errors import Error
from nats.js.api import AckPolicy, ConsumerConfig

from model_registry.fleet.jetstream_setup import CONSUMER, STREAM
from model_registry.messaging.connection import cancel
from model_registry.messaging.subjects import LOADED, UPDATED
from support.catalogue import get
from support.fleet import Fleet, consuming, fleet_on, nats_status, outcomes
from support.nats_server import NatsServer
from support.replica import Replica, running_replica
from support.waiting import LONGEST, until


def loaded(model: str) -> bytes:
    node = f"gpu-{model[-1:]}"  # on several nodes: there is a limit to what one may announce
    return orjson.dumps({"node_id": node, "provider_type": "ollama", "model_id": model, "status": "loaded"})


def models(database: psycopg.Connection) -> set[str]:
    return {str(model) for (model,) in database.execute("select announced_model from model_deployments").fetchall()}


async def outstanding(fleet: Fleet) -> int:
    """Events that the registry has not acknowledged."""
    info = await fleet.consumer()
    return (info.num_pending or 0) + (info.num_ack_pending or 0)


async def backlog(fleet: Fleet, number: int) -> set[str]:
    """Events that wait in the stream before any registry has ever been there."""
    await fleet.js.add_stream(name=STREAM, subjects=["mesh.gpu.>"])
    names = {f"m{i}" for i in range(number)}
    for name in names:
        await fleet.say(LOADED, loaded(name))
    await fleet.js.publish(LOADED, loaded("m0"))
    return names


async def test_with_nats_down_at_start_the_service_serves_and_consumes_what_waited(
    nats_server: NatsServer, start_replica: Any, database: psycopg.Connection
) -> None:
    async with fleet_on(nats_server.url) as fleet:
        waiting = await backlog(fleet, 20)
    nats_server.kill()

    replica: Replica = await start_replica(NATS_URL=nats_server.url)
    assert (await get(replica.client, "/api/models"))["items"] == []
    assert (await get(replica.client, "/readyz"))["status"] == "degraded"
    detail = await until(partial(nats_status, replica, "down"))
    assert "cannot be reached" in str(detail)

    nats_server.start()
    await consuming(replica)

    async with fleet_on(nats_server.url) as fleet:
        await fleet.settled()
    assert models(database) == waiting


async def test_nats_killed_while_events_flow_loses_nothing_that_it_acknowledged(
    nats_server: NatsServer, start_replica: Any, database: psycopg.Connection
) -> None:
    acknowledged: set[str] = set()
    async with fleet_on(nats_server.url) as fleet:
        await backlog(fleet, 1)
        # What was on its way when the server died comes again after this long.
        patience = ConsumerConfig(durable_name=CONSUMER, ack_policy=AckPolicy.EXPLICIT, ack_wait=1)
        await fleet.js.add_consumer(STREAM, patience)
        await consuming(await start_replica(NATS_URL=nats_server.url))

        async def flow() -> None:
            number = 0
            while True:
                number += 1
                try:
                    await fleet.js.publish(LOADED, loaded(f"m{number}"), timeout=0.3)
                except (Error, TimeoutError):  # not acknowledged: it may be there, and may be lost
                    await asyncio.sleep(0.01)
                else:
                    acknowledged.add(f"m{number}")

        flowing = asyncio.create_task(flow())
        try:
            for _ in range(3):
                await until(partial(more_than, acknowledged, len(acknowledged) + 30))
                nats_server.kill()
                nats_server.start()
            await until(partial(more_than, acknowledged, len(acknowledged) + 30))
        finally:
            await cancel(flowing)
        await fleet.settled()

    assert len(acknowledged) >= 120
    assert acknowledged - models(database) == set()


async def more_than(found: set[str], number: int) -> bool:
    return len(found) > number


async def test_after_a_restart_of_nats_events_and_announcements_flow_again_within_seconds(
    nats_server: NatsServer, start_replica: Any, database: psycopg.Connection
) -> None:
    """Also a consumer that had asked the server before for events, and waits for an answer that cannot come."""
    replica: Replica = await start_replica(NATS_URL=nats_server.url)
    await consuming(replica)
    nats_server.kill()
    assert await until(partial(nats_status, replica, "down"))
    nats_server.start()
    await consuming(replica)

    async with fleet_on(nats_server.url) as fleet:
        announced = await fleet.client.subscribe(UPDATED)
        await fleet.client.flush()
        await fleet.say(LOADED, loaded("again"))
        await fleet.settled()
        assert models(database) == {"again"}
        assert orjson.loads((await announced.next_msg(LONGEST)).data)["resource_type"] in ("deployment", "node")


async def test_a_database_that_is_away_leaves_events_unacknowledged_until_it_is_back(
    fleet: Fleet, consumer: Replica, stack: Any, database: psycopg.Connection
) -> None:
    await fleet.load("before")
    await fleet.settled()
    stack.postgrest.kill()
    try:
        for i in range(5):
            await fleet.load(f"m{i}")

        async def failed() -> bool:
            return (await outcomes(consumer)).get("failed", 0) >= 5

        await until(failed)
        assert await outstanding(fleet) == 5
        assert fleet.rejected == []
    finally:
        stack.postgrest.start()
    await fleet.settled()

    assert models(database) == {"before", *(f"m{i}" for i in range(5))}
    assert (await outcomes(consumer))["recorded"] == 6


async def test_a_database_that_is_away_at_the_start_gets_what_waited_for_it(
    fleet: Fleet, start_replica: Any, nats_url: str, stack: Any, database: psycopg.Connection
) -> None:
    waiting = await backlog(fleet, 5)
    stack.postgrest.kill()
    try:
        replica: Replica = await start_replica(NATS_URL=nats_url)
        assert (await replica.client.get("/readyz")).status_code == 503

        async def failed() -> bool:
            return (await outcomes(replica)).get("failed", 0) >= 5

        await until(failed)
    finally:
        stack.postgrest.start()
    await fleet.settled()

    assert models(database) == waiting


async def test_an_event_that_the_database_refuses_for_no_known_reason_is_tried_again_and_the_others_are_recorded(
    fleet: Fleet, consumer: Replica, database: psycopg.Connection
) -> None:
    """It need not be the event's fault: a standby that was promoted too early refuses every write."""
    database.execute("""
        create function moody() returns trigger language plpgsql as $$
        begin raise exception 'not today'; end $$""")
    database.execute("""
        create trigger moody before insert on model_deployments
        for each row when (new.announced_model = 'odd') execute function moody()""")
    try:
        for model in ("one", "odd", "two"):
            await fleet.load(model)

        async def others_recorded() -> bool:
            return models(database) == {"one", "two"} and (await outcomes(consumer)).get("failed", 0) > 0

        await until(others_recorded)
    finally:
        database.execute("drop trigger moody on model_deployments")
        database.execute("drop function moody")
    await fleet.settled()

    assert models(database) == {"one", "odd", "two"}
    assert fleet.rejected == []


async def test_a_replica_stopped_in_the_middle_of_a_backlog_hands_it_over_at_once(
    fleet: Fleet, environment: dict[str, Any], nats_url: str, database: psycopg.Connection
) -> None:
    waiting = await backlog(fleet, 9000)
    # What a replica holds when it dies would come only after this, so long after we have ceased to wait.
    patience = ConsumerConfig(durable_name=CONSUMER, ack_policy=AckPolicy.EXPLICIT, ack_wait=10 * LONGEST)
    await fleet.js.add_consumer(STREAM, patience)
    async with running_replica({**environment, "NATS_URL": nats_url}) as first:

        async def has_begun() -> bool:
            return (await outcomes(first)).get("recorded", 0) > 0

        await until(has_begun)
    assert await outstanding(fleet) > 0
    assert len(models(database)) < len(waiting)

    async with running_replica({**environment, "NATS_URL": nats_url}):
        await fleet.settled()

    assert models(database) == waiting


async def test_what_a_dead_replica_had_taken_comes_to_another(
    fleet: Fleet, start_replica: Any, nats_url: str, database: psycopg.Connection
) -> None:
    """The consumer is there already, with other settings than ours: it is used as it is."""
    waiting = await backlog(fleet, 10)
    patience = ConsumerConfig(durable_name=CONSUMER, ack_policy=AckPolicy.EXPLICIT, ack_wait=1)
    dead = await fleet.js.pull_subscribe("", durable=CONSUMER, stream=STREAM, config=patience)
    assert len(await dead.fetch(10)) == 10

    await start_replica(NATS_URL=nats_url)
    info = await fleet.settled()

    assert models(database) == waiting
    assert info.config.ack_wait == 1


async def test_two_replicas_share_the_events_and_each_event_is_handled_once(
    fleet: Fleet, start_replica: Any, nats_url: str, database: psycopg.Connection
) -> None:
    replicas: list[Replica] = [await start_replica(NATS_URL=nats_url) for _ in range(2)]
    await consuming(*replicas)

    for i in range(600):
        await fleet.load(f"m{i}")
    await fleet.settled()

    assert len(models(database)) == 600
    shares = [(await outcomes(replica)).get("recorded", 0) for replica in replicas]
    assert sum(shares) == 600
    assert min(shares) > 0


# Stopping -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["down", "refusing", "frozen"])
async def test_a_service_that_never_reached_nats_stops_promptly(
    state: str, nats_server: NatsServer, environment: dict[str, Any]
) -> None:
    url = nats_server.url
    if state == "frozen":
        nats_server.freeze()
    else:
        nats_server.kill()
    if state == "refusing":
        nats_server.token = "another"  # noqa: S105 (made up)
        nats_server.start()

    async with running_replica({**environment, "NATS_URL": url}) as replica:
        await until(partial(nats_status, replica, "down"))


@pytest.mark.parametrize("state", ["connected", "lost", "frozen"])
async def test_a_service_that_consumed_stops_promptly(
    state: str, nats_server: NatsServer, environment: dict[str, Any]
) -> None:
    """Freeze the server: published messages are flushed first, for a bounded time, though in vain."""
    async with running_replica({**environment, "NATS_URL": nats_server.url}) as replica:
        await consuming(replica)
        if state == "lost":
            nats_server.kill()
            await until(partial(nats_status, replica, "down"))
        if state == "frozen":
            nats_server.freeze()


async def test_a_service_stops_promptly_in_the_middle_of_a_batch_that_the_database_does_not_take(
    fleet: Fleet, environment: dict[str, Any], nats_url: str, stack: Any
) -> None:
    try:
        async with running_replica({**environment, "NATS_URL": nats_url}) as replica:
            await consuming(replica)
            os.kill(stack.postgrest.pid, signal.SIGSTOP)
            await fleet.load("m")

            async def taken() -> bool:
                return (await fleet.consumer()).num_ack_pending == 1

            await until(taken)
        assert await outstanding(fleet) == 1
    finally:
        os.kill(stack.postgrest.pid, signal.SIGCONT)
