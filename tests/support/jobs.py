"""Trainings as jobs: begun over HTTP, looked at until something is so."""

from __future__ import annotations

from typing import Any

from model_registry.entities.server_sent_events import Event, EventReader
from support.dispatch import Dispatching
from support.waiting import until

ASYNC = {"Prefer": "respond-async"}


async def begin(registry: Dispatching, **more: Any) -> str:
    """Begin a training, and return its job's id."""
    body = {"model_type": "LSTM", "config": {"epochs": 2}, **more}
    answer = await registry.client.post("/train", json=body, headers=ASYNC)
    assert answer.status_code == 202, answer.text
    assert answer.headers["preference-applied"] == "respond-async"
    job_id: str = answer.json()["job_id"]
    assert answer.headers["location"] == f"/jobs/{job_id}"
    return job_id


async def job(registry: Dispatching, job_id: str) -> dict[str, Any]:
    answer = await registry.client.get(f"/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    view: dict[str, Any] = answer.json()
    return view


async def ended(registry: Dispatching, job_id: str) -> dict[str, Any]:
    """The job at its end."""

    async def look() -> dict[str, Any] | None:
        view = await job(registry, job_id)
        return view if view["finished_at"] else None

    view = await until(look)
    assert view is not None
    return view


async def reached(registry: Dispatching, job_id: str, *phases: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        view = await job(registry, job_id)
        return view if view["phase"] in phases else None

    view = await until(look)
    assert view is not None
    return view


async def with_instance(registry: Dispatching, url: str, **fields: Any) -> None:
    await registry.instance(await registry.service("LSTM"), "lstm-1", url, **fields)


def events_of(text: str) -> list[Event]:
    return list(EventReader().read(text.encode()))
