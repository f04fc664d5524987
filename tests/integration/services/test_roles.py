"""`serve --role`: what each role answers, and what runs beside it."""

from __future__ import annotations

from typing import Any

from support.dispatch import problem


async def test_a_dispatching_replica_reads_and_dispatches_and_takes_no_writes(
    start_replica: Any, nats_url: str
) -> None:
    replica = await start_replica(MODEL_REGISTRY_ROLE="dispatch", NATS_URL=nats_url)

    listed = await replica.client.get("/api/models")
    write = await replica.client.post("/api/providers", json={"name": "a", "provider_type": "openai"})
    instance = await replica.client.post("/services/register", json={})
    dispatched = await replica.client.post("/predict", json={"model_type": "LSTM"})
    configuration = await replica.client.get("/api/tensorzero/config")
    ready = (await replica.client.get("/readyz")).json()["dependencies"]

    assert listed.status_code == 200
    assert "takes no writes" in problem(write, 404, "E4004")["detail"]
    assert "takes no writes" in problem(instance, 404, "E4004")["detail"]
    assert "There is no model service 'LSTM'" in problem(dispatched, 404, "E4004")["detail"]
    assert "has the role `dispatch`" in problem(configuration, 503, "E5031")["detail"]
    assert {ready[name]["status"] for name in ("nats", "fleet", "publishing")} == {"off"}


async def test_a_control_replica_dispatches_nothing_and_says_so(start_replica: Any) -> None:
    replica = await start_replica(MODEL_REGISTRY_ROLE="control")

    for path in ("/predict", "/dispatch/LSTM/prediction/x"):
        refused = await replica.client.post(path, json={"model_type": "LSTM"})
        assert "has the role `control`" in problem(refused, 404, "E4004")["detail"]
    assert (await replica.client.get("/api/models")).status_code == 200
