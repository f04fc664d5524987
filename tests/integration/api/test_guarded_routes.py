"""Decisions before a body is read: who may send it, and how much of it is read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import psycopg
import pytest
from fastapi.routing import iter_route_contexts

from model_registry.api import guarded_route
from model_registry.api.guarded_route import PROJECT_BYTES, QUESTION_BYTES, ROW_BYTES, GuardedRoute
from support.catalogue import add_provider, problem
from support.replica import Replica

JSON = {"content-type": "application/json"}
OPEN = {"/health", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}
QUESTIONS = {
    "/api/models/select",
    "/api/costs/estimate",
    "/api/v1/registry/validate/training",
    "/api/v1/registry/validate/inference",
    "/rest/v1/rpc/{name}",
}
PROJECTS = {
    "/api/models/import",
    "/api/tensorzero/import",
    "/api/tensorzero/check",
    "/api/v1/registry/document",
    "/api/tensorzero/files/{path}",
    "/api/tensorzero/sections/{name}",
    "/api/gateways/import",
    "/api/gateways/{gateway}/check",
    "/api/gateways/{gateway}/files/{path}",
    "/api/gateways/{gateway}/sections/{name}",
}
LONG_WORK = (
    ("POST", "/api/models/import?dry_run=true"),
    ("POST", "/api/tensorzero/import?dry_run=1"),
    ("PUT", "/api/v1/registry/document?dry_run=yes"),
    ("POST", "/api/tensorzero/check"),
    ("POST", "/api/gateways/import?dry_run=1"),
    ("POST", "/api/gateways/tensorzero/check"),
    ("POST", "/api/gateways/tensorzero/promote?dry_run=true"),
)


def routes(replica: Replica) -> list[tuple[set[str], str, GuardedRoute]]:
    """Methods, path and route of every route of the app."""
    found = []
    for context in iter_route_contexts(replica.app.routes):
        route: Any = context.original_route
        if context.path not in OPEN:
            assert isinstance(route, GuardedRoute), f"{context.path} is no GuardedRoute: its body is read unseen"
            found.append((set(route.methods or ()), str(context.path).replace(":path", ""), route))
    assert len(found) > 60
    return found


class Unread:
    """A body that records whether it is read."""

    def __init__(self, size: int = 29 * 2**20) -> None:
        self.size, self.read = size, 0

    async def __call__(self) -> AsyncIterator[bytes]:
        while self.read < self.size:
            self.read += 2**16
            yield b"[" * 2**16


async def test_every_route_says_who_may_call_it_and_how_large_its_body_may_be(replica: Replica) -> None:
    for methods, path, route in routes(replica):
        assert route.authorise is not None, f"{methods} {path} takes no Reader, Administrator, ..."
        if methods & {"POST", "PUT", "PATCH"}:
            limit = QUESTION_BYTES if path in QUESTIONS else PROJECT_BYTES if path in PROJECTS else ROW_BYTES
            if methods == {"PUT"} or path not in PROJECTS:
                assert route.body_limit == limit, f"{methods} {path}"


async def test_without_a_key_no_byte_of_a_write_is_read(replica: Replica, subtests: pytest.Subtests) -> None:
    async with replica.anonymous() as anybody:
        for methods, path, _ in routes(replica):
            for method in methods & {"POST", "PUT", "PATCH"}:
                if path in QUESTIONS:
                    continue
                with subtests.test(method=method, path=path):
                    body = Unread()
                    url = path.replace("{reference}", "x").replace("{name}", "x").replace("{path}", "x")
                    answer = await anybody.request(method, url, content=body(), headers=JSON)
                    assert answer.status_code in {401, 405}, answer.text
                    assert body.read == 0


async def test_an_unknown_path_is_not_read(replica: Replica) -> None:
    body = Unread()
    problem(await replica.client.post("/api/nothing", content=body(), headers=JSON), 404, "E4004")
    assert body.read == 0


async def test_each_kind_of_body_has_its_limit(replica: Replica, subtests: pytest.Subtests) -> None:
    for path, limit in (
        ("/api/models/select", QUESTION_BYTES),
        ("/api/costs/estimate", QUESTION_BYTES),
        ("/api/v1/registry/validate/training", QUESTION_BYTES),
        ("/api/providers", ROW_BYTES),
        ("/api/deployments", ROW_BYTES),
        ("/api/rollback", ROW_BYTES),
        ("/api/models/import", PROJECT_BYTES),
        ("/api/tensorzero/import", PROJECT_BYTES),
        ("/api/tensorzero/check", PROJECT_BYTES),
    ):
        with subtests.test(path=path):
            unread = Unread()
            headers = {**JSON, "content-length": str(limit + 1)}
            refused = problem(await replica.client.post(path, content=unread(), headers=headers), 413, "E4130")
            assert path in refused["detail"]
            assert unread.read == 0
            if limit < PROJECT_BYTES:
                endless = Unread()
                problem(await replica.client.post(path, content=endless(), headers=JSON), 413, "E4130")
                assert limit < endless.read <= limit + 2**16
    counted = (await replica.client.get("/metrics")).text
    assert 'model_registry_refused_requests_total{reason="body_too_large"}' in counted


async def test_long_work_needs_a_key_once_there_is_one(
    replica: Replica, start_replica: Callable[..., Awaitable[Replica]], subtests: pytest.Subtests
) -> None:
    keyless = await start_replica(MODEL_REGISTRY_API_KEY=None)
    for method, path in LONG_WORK:
        with subtests.test(path=path):
            async with replica.anonymous() as anybody:
                problem(await anybody.request(method, path, json={}), 401, "E4010")
            async with keyless.anonymous() as anybody:
                assert (await anybody.request(method, path, json={})).status_code in {200, 422}
            assert (await replica.client.request(method, path, json={})).status_code in {200, 422}


async def test_what_is_not_clearly_a_dry_run_needs_an_admin(replica: Replica) -> None:
    async with replica.anonymous() as anybody:
        for value in ("false", "", "tru", "2", "true&dry_run=false"):
            answer = await anybody.post(f"/api/models/import?dry_run={value}", content=Unread()(), headers=JSON)
            problem(answer, 401, "E4010")


async def test_many_mistakes_are_named_a_hundred_at_a_time(replica: Replica) -> None:
    answer = await replica.client.post("/api/costs/estimate", json={"models": [1] * 1000})
    reasons = problem(answer, 422, "E4005")["reasons"]
    assert len(reasons) == 101
    assert reasons[-1] == {"where": "", "message": "900 more reasons are not shown; fix these first"}
    assert len(answer.content) < 20_000


async def test_very_many_fields_that_nobody_knows_are_one_mistake(replica: Replica) -> None:
    many = {str(number): 1 for number in range(5000)}
    for path, body in (
        ("/api/models/select", many),
        ("/api/models/select", {"constraints": many}),
        ("/api/costs/estimate", {"filter": many}),
    ):
        (reason,) = problem(await replica.client.post(path, json=body), 422, "E4005")["reasons"]
        assert reason["message"].startswith("has 5,000 fields; the known ones are: ")


async def test_large_bodies_share_so_much_room_and_give_it_back(replica: Replica) -> None:
    room = replica.state.work.bodies
    taken = room.left - 100_000
    room.take(taken)
    offers = [{"model_id": "m", "fields": {"description": "x" * 60_000}}]
    body = {"source": "x", "offers": offers}
    for _ in range(3):
        assert (await replica.client.post("/api/models/import", json=body)).status_code == 200
    refused = await replica.client.post("/api/models/import", json={**body, "offers": offers * 2})
    problem(refused, 429, "E4290")
    assert (await replica.client.post("/api/models/import", json=body)).status_code == 200
    room.give_back(taken)


async def test_a_reason_does_not_quote_at_length(replica: Replica) -> None:
    answer = await replica.client.post("/api/models/select", json={"x" * 60_000: 1})
    problem(answer, 422, "E4005")
    assert len(answer.content) < 12_000


def nested(levels: int) -> bytes:
    return b'{"name": ' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


async def test_json_is_nested_so_deep_and_no_deeper(replica: Replica) -> None:
    deepest = guarded_route.DEEPEST
    fits = await replica.client.post("/api/providers", content=nested(deepest), headers=JSON)
    assert "nested" not in problem(fits, 422, "E4005")["detail"]
    deeper = await replica.client.post("/api/providers", content=nested(deepest + 1), headers=JSON)
    assert "nested too deep" in problem(deeper, 422, "E4005")["detail"]
    brackets = {"name": "p", "type": "openai", "metadata": {"text": "[" * 500, "lists": [[]] * 100}}
    assert (await replica.client.post("/api/providers", json=brackets)).status_code == 201


async def test_a_body_of_very_many_values_is_refused_before_it_is_parsed(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded_route, "MOST_VALUES", 1000)
    answer = await replica.client.post("/api/models/import", json={"source": "x", "offers": [1] * 1001})
    problem(answer, 413, "E4130")
    text = {"source": "x", "offers": [{"model_id": "m", "fields": {"description": ",[{" * 1000}}]}
    assert (await replica.client.post("/api/models/import", json=text)).status_code == 200


async def test_half_a_surrogate_pair_and_duplicate_keys_are_parsed_as_before(replica: Replica) -> None:
    body = b'{"name": "\\ud800", "name": "p", "type": "openai"}'
    assert (await replica.client.post("/api/providers", content=body, headers=JSON)).status_code == 201


async def test_metadata_has_a_limit_and_what_an_older_release_kept_can_be_made_smaller(
    replica: Replica, database: psycopg.Connection
) -> None:
    large, small = {"text": "x" * 100_000}, {"text": "x" * 65_000}
    refused = await replica.client.post("/api/providers", json={"name": "p", "type": "openai", "metadata": large})
    assert "at most 65,536" in problem(refused, 422, "E4005")["detail"]
    await add_provider(replica.client, "p", metadata=small)
    database.execute("update model_providers set metadata = %s::jsonb", [json.dumps(large)])
    fresh = {"Cache-Control": "no-cache"}
    assert (await replica.client.get("/api/providers/p", headers=fresh)).json()["metadata"] == large

    async def change(**fields: object) -> int:
        return (await replica.client.patch("/api/providers/p", json=fields)).status_code

    assert await change(active=False) == 200
    assert await change(metadata={"text": "x" * 100_001}) == 422
    assert await change(metadata={"text": "x" * 90_000}) == 200
    assert await change(metadata=small) == 200
    assert await change(metadata={"text": "x" * 90_000}) == 422
