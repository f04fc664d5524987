"""Secrets in reports of nodes are masked in rows, messages and responses, and counted, in any order of reports."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import httpx
import orjson
import psycopg
import pytest

from model_registry.entities.deployment import DeploymentEvent
from model_registry.entities.node import NodeReportBatch
from model_registry.messaging.subjects import LOADED, STATUS, UPDATED
from support.database import TABLES
from support.fleet import Fleet
from support.replica import Replica
from support.secret_examples import HEX_KEY, PASSWORD, SHAPED
from support.waiting import until

SECRETS = (SHAPED["openai project"], SHAPED["jwt"], SHAPED["nats seed"], HEX_KEY, PASSWORD, SHAPED["private key"])
ERROR = f"401 from https://admin:{PASSWORD}@up.example/v1?api_key={HEX_KEY}: key {SECRETS[0]} is wrong"


def stored(database: psycopg.Connection) -> str:
    """Every row of every table, as text."""
    found = [database.execute(f"select t::text from {table} t").fetchall() for table in TABLES]  # noqa: S608 (ours)
    return str(found)


def hidden(text: str) -> bool:
    """Whether neither a secret nor a half of one is in a text."""
    return not any(secret[-12:] in text or secret[8:24] in text for secret in SECRETS)


def masked(replica: Replica, where: str) -> float:
    found = replica.state.metrics.collected.get_sample_value("model_registry_masked_secrets_total", {"where": where})
    return found or 0.0


async def test_what_nodes_publish_is_stored_masked_and_counted(
    fleet: Fleet, consumer: Replica, database: psycopg.Connection
) -> None:
    heard: list[bytes] = []

    async def hear(message: Any) -> None:
        heard.append(message.data)

    await fleet.client.subscribe(UPDATED, cb=hear)
    await fleet.load("m", node="gpu-a", status="error", error_message=ERROR, session_id=SECRETS[1])
    await fleet.load("n", node="gpu-b", endpoint=f"http://u:{PASSWORD}@gpu-b:8000/v1")
    await fleet.load(SECRETS[0], node=SHAPED["groq"])
    listed = {"ollama/m": {"state": "error", "error_message": SHAPED["private key"]}}
    data = {"loaded_models": listed, "metrics": {"name": SHAPED["nats seed"], "total_vram_mb": 1}}
    await fleet.say(STATUS, {"node_id": "gpu-c", "endpoint": f"http://gpu-c/v1?token={SECRETS[1]}", "data": data})
    await fleet.settled()

    assert hidden(stored(database))
    assert masked(consumer, "events") == 3 + 1 + 1 + 2 + 3
    rows = (await consumer.client.get("/api/deployments")).json()["items"]
    [row] = [row for row in rows if row["node_id"] == "gpu-a"]
    assert row["error_message"].startswith("401 from https://admin:hunt…(18 characters)@up.example/v1?api_key=")
    assert "is wrong" in row["error_message"]
    await until(lambda: _are(len(heard) >= 4))
    assert hidden(str(heard))


async def _are(so: bool) -> bool:  # noqa: FBT001 (what is waited for)
    return so


async def test_what_is_rejected_is_masked_where_it_is_kept_published_and_shown(
    fleet: Fleet, consumer: Replica, database: psycopg.Connection
) -> None:
    cut = {"node_id": 7, "pad": "x" * 1990, "note": SECRETS[0]}  # the kept beginning ends within the key
    for payload in ({"key": SECRETS[0], "model_key": SECRETS[0]}, {"model_id": 1, "password": PASSWORD}, cut):
        await fleet.say(LOADED, payload)
    await fleet.say(LOADED, f"not JSON {SHAPED['private key']}".encode())
    await fleet.settled()

    shown = await consumer.client.get("/api/events/rejected")

    assert shown.json()["count"] == 4
    assert hidden(shown.text)
    assert hidden(stored(database))
    assert len(fleet.rejected) == 4
    assert hidden(str(fleet.rejected))
    assert masked(consumer, "rejected") >= 4


async def test_in_any_order_and_number_the_same_rows_come_of_it(replica: Replica, database: psycopg.Connection) -> None:
    now = datetime.now(UTC)
    base = f"http://h/v1?api_key={HEX_KEY}"
    before = now - timedelta(seconds=1)
    events: list[Callable[[str], DeploymentEvent]] = [
        lambda n: DeploymentEvent(n, "ollama", "m", "error", now, error_message=ERROR),
        lambda n: DeploymentEvent(n, "ollama", "m", "error", now, error_message=ERROR.replace("is wrong", "is bad")),
        lambda n: DeploymentEvent(n, "ollama", "m", "error", now, endpoint=base),
        lambda n: DeploymentEvent(n, "ollama", "m", "loaded", before, endpoint=base),
    ]
    nodes = []
    for number, order in enumerate(permutations(events)):
        node = f"node-{number}"
        nodes.append(node)
        for event in (*order, order[0], order[2]):
            said = NodeReportBatch()
            said.add_event(event(node), now)
            await replica.state.registry.record_reports(said, actor="a test")

    columns = "status, endpoint, error_message, event_at, metadata"
    rows = database.execute(f"select distinct {columns} from model_deployments").fetchall()  # noqa: S608
    assert len(rows) == 1
    assert len(replica.state.registry.snapshot.deployments) == len(nodes)
    assert hidden(stored(database))


@pytest.mark.parametrize("key", ["m", SHAPED["openai"]], ids=["a name", "a key for a name"])
async def test_a_report_over_http_is_masked_like_an_event(
    replica: Replica, database: psycopg.Connection, key: str
) -> None:
    report = {
        "node_id": "gpu-a",
        "model_id": key,
        "provider_type": "ollama",
        "status": "error",
        "error_message": ERROR,
        "metadata": {"env": {"OPENAI_API_KEY": SECRETS[0], "password": PASSWORD}, "note": "kept"},
    }
    answers: list[httpx.Response] = [await replica.client.post("/api/deployments", json=report) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json()["metadata"]["note"] == "kept"
    assert all(hidden(answer.text) for answer in answers)
    assert key == "m" or key not in stored(database)
    assert hidden(stored(database))
    assert masked(replica, "events") == 2 * (5 if key == "m" else 6)
    changes = await replica.client.get("/api/changes")
    assert hidden(changes.text)
    assert orjson.loads(changes.content)["items"]


async def test_readiness_shows_no_password_of_an_address(replica: Replica) -> None:
    replica.state.registry.last_error = f"cannot reach postgresql://u:{PASSWORD}@db/registry"

    answer = await replica.client.get("/readyz")

    assert PASSWORD not in answer.text
    assert "postgresql://u:" in answer.text
