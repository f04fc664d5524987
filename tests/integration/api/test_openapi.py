"""The OpenAPI document takes seconds to make: that is done once, and keeps nobody waiting but those who ask for it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from support.replica import Replica


@pytest.fixture
def makers(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The threads that make the document."""
    made_in: list[threading.Thread] = []
    make = replica.app.openapi

    def noted() -> dict[str, Any]:
        if replica.app.openapi_schema is None:
            made_in.append(threading.current_thread())
        return make()

    monkeypatch.setattr(replica.app, "openapi", noted)
    return made_in


async def test_it_is_made_once_and_not_on_the_event_loop(replica: Replica, makers: list[threading.Thread]) -> None:
    answers = await asyncio.gather(*(replica.client.get("/openapi.json") for _ in range(3)))

    assert [answer.status_code for answer in answers] == [200] * 3
    assert len(makers) == 1
    assert makers[0] is not threading.current_thread()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/sources/a/refresh", "POST"),
        ("PUT", "/api/models/a/b/deployments", "GET, HEAD"),
        ("POST", "/api/models/a/b", "DELETE, GET, HEAD, PATCH, PUT"),
        ("POST", "/services", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_answered_without_it(
    replica: Replica, makers: list[threading.Thread], method: str, path: str, allowed: str
) -> None:
    answer = await replica.client.request(method, path)

    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
    assert makers == []
