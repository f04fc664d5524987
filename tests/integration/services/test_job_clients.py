"""Jobs by the Python client and by the command line, at a registry on a socket."""

from __future__ import annotations

import asyncio
from typing import Any

from integration.services.conftest import StartStub
from model_registry.client.asynchronous import AsyncClient
from model_registry.client.blocking import Client
from support.dispatch import Dispatching
from support.jobs import with_instance
from support.processes import run
from support.replica import ADMIN_KEY


async def test_a_client_begins_a_training_and_follows_it_to_its_end(
    registry: Dispatching, start_stub: StartStub
) -> None:
    stub = start_stub(training_seconds=0.3)
    await with_instance(registry, stub.url, training_flow="prepared")
    url = f"http://127.0.0.1:{registry.port}"

    def blocking() -> list[str]:
        with Client(url, ADMIN_KEY) as client:
            begun = client.train("LSTM", {"config": {}}, idempotency_key="k")
            assert client.train("LSTM", {"config": {}}, idempotency_key="k")["job_id"] == begun["job_id"]
            return [job["status"] for job in client.follow_job(begun["job_id"])]

    assert (await asyncio.to_thread(blocking))[-1] == "succeeded"
    async with AsyncClient(url, ADMIN_KEY) as client:
        (job,) = await client.list_jobs(status="succeeded")
        seen: list[Any] = [job["progress"]["status"] async for job in client.follow_job(job["job_id"])]
        assert (await client.get_job(job["job_id"]))["result"] == {"status": "started"}
    assert seen == ["completed"]
    assert stub.seen().paths["/start-training"] == 1


async def test_the_command_line_trains_lists_and_follows(registry: Dispatching, start_stub: StartStub) -> None:
    stub = start_stub(training_seconds=0.2)
    await with_instance(registry, stub.url)
    environment = {
        "MODEL_REGISTRY_URL": f"http://127.0.0.1:{registry.port}",
        "MODEL_REGISTRY_API_KEY": ADMIN_KEY,
    }

    async def command(*arguments: str) -> tuple[int, str]:
        done = await asyncio.to_thread(run, "model-services", *arguments, environment=environment)
        return done.returncode, done.stdout + done.stderr

    code, output = await command("train", "LSTM", "--config", '{"epochs": 3}', "--follow")
    assert (code, "succeeded" in output) == (0, True), output
    job_id = output.split()[0]
    code, output = await command("jobs")
    assert (code, job_id in output) == (0, True), output
    stub.set(training_fails=True)
    code, output = await command("train", "LSTM", "--follow")
    assert (code, "answered 500" in output) == (1, True), output
    code, output = await command("job", job_id, "--cancel")
    assert (code, "has ended" in output) == (1, True), output
