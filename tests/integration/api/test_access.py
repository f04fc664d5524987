"""Who may read what: reads that require a key as soon as one exists, and the effect of MODEL_REGISTRY_AUTH_READS."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from importlib.resources import files
from typing import Any
from urllib.parse import urljoin

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from model_registry.entities.api_key import hash_of, new_secret
from model_registry.entities.openai_paths import OPENAI_PATHS
from model_registry.store.history import History
from support.catalogue import add_model, add_provider, problem
from support.replica import ADMIN_KEY, Replica

StartReplica = Callable[..., Awaitable[Replica]]

READ_KEY = "a read key for tests"
METRICS_TOKEN = "a token for metrics"  # noqa: S105 (of these tests)

AUDIT = (
    "/api/changes",
    "/api/history",
    "/api/tensorzero/diff?from=1&to=2",
    "/api/tensorzero/config?revision=1",
    "/api/events/rejected",
    "/api/models/small/versions",
)
"""Reads that reveal more than the current catalogue."""
CATALOGUE = ("/api/models", "/api/models/small", "/api/tensorzero/config", "/api/tensorzero/config?revision=latest")


async def catalogue(replica: Replica) -> None:
    await add_provider(replica.client)
    await add_model(replica.client, "small")


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def statuses(client: httpx.AsyncClient, paths: tuple[str, ...], method: str = "GET") -> dict[str, int]:
    return {path: (await client.request(method, path)).status_code for path in paths}


# What needs a key as soon as there is one -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_history_needs_a_key_once_there_is_one(replica: Replica, method: str) -> None:
    await catalogue(replica)

    assert await statuses(replica.client, AUDIT + CATALOGUE, method) == dict.fromkeys(AUDIT + CATALOGUE, 200)
    async with replica.anonymous() as anonymous:  # after an answer with a key: none of them may come from a cache
        assert await statuses(anonymous, AUDIT, method) == dict.fromkeys(AUDIT, 401)
        assert await statuses(anonymous, CATALOGUE, method) == dict.fromkeys(CATALOGUE, 200)


async def test_a_refusal_of_history_says_how_a_key_is_sent(replica: Replica) -> None:
    async with replica.anonymous() as anonymous:
        refused = await anonymous.get("/api/changes")

    assert "Authorization: Bearer" in problem(refused, 401, "E4010")["detail"]


async def test_history_is_open_until_the_first_key_is_made(
    start_replica: StartReplica, database: psycopg.Connection
) -> None:
    await catalogue(await start_replica())
    replica = await start_replica(MODEL_REGISTRY_API_KEY=None)
    secret = new_secret()
    async with replica.anonymous() as anonymous:
        assert await statuses(anonymous, AUDIT) == dict.fromkeys(AUDIT, 200)

        database.execute(
            "insert into api_keys (name, key_hash, scopes) values ('reader', %s, '[\"read\"]')", [hash_of(secret)]
        )

        await anonymous.get("/api/providers", headers={"Cache-Control": "no-cache"})
        assert await statuses(anonymous, AUDIT) == dict.fromkeys(AUDIT, 401)
        anonymous.headers["X-API-Key"] = secret
        assert await statuses(anonymous, AUDIT) == dict.fromkeys(AUDIT, 200)


async def test_while_nobody_knows_whether_there_are_keys_history_stays_closed(
    stack: Any, start_replica: StartReplica
) -> None:
    """The log is read from the database itself, which may be back before the snapshot with the keys is."""
    await catalogue(await start_replica())
    stack.postgrest.kill()
    try:
        replica = await start_replica(MODEL_REGISTRY_API_KEY=None, MODEL_REGISTRY_POLL_SECONDS=3600)
    finally:
        await asyncio.to_thread(stack.postgrest.start)

    async with replica.anonymous() as anonymous:
        assert not replica.state.registry.loaded
        assert await statuses(anonymous, AUDIT) == dict.fromkeys(AUDIT, 503)
        assert (await anonymous.get("/api/providers", headers={"Cache-Control": "no-cache"})).status_code == 200
        assert await statuses(anonymous, AUDIT) == dict.fromkeys(AUDIT, 200)


# What MODEL_REGISTRY_AUTH_READS closes --------------------------------------------------------------------------------

ANSWERS_ANYBODY = {"/health", "/healthz", "/readyz"}
NO_ROUTES = ("/", "/nothing", "/redoc", "/docs/", "/docs/nothing.js", "/healthz/", "/api/models/no-such-model")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")


def templates(routes: Iterable[Any]) -> Iterator[str]:
    """The path of every route, of included routers too, whether the documentation has it or not."""
    for route in routes:
        if included := getattr(route, "original_router", None):
            yield from templates(included.routes)
        else:
            yield route.path


def paths_of(app: FastAPI) -> set[str]:
    """A path for every route there is."""
    found, documented = (
        {re.sub(r"\{[^}]+\}", "small", template) for template in each}
        for each in (templates(app.routes), app.openapi()["paths"])
    )
    assert found > documented - dispatched(app)
    return found | documented


def dispatched(app: FastAPI) -> set[str]:
    """A path for everything that is passed on, which needs a scope of its own, and stands before all routes."""
    tagged = {
        path
        for path, operations in app.openapi()["paths"].items()
        for operation in operations.values()
        if "dispatch" in operation.get("tags", ())
    }
    return {re.sub(r"\{[^}]+\}", "small", template) for template in tagged}


@pytest.fixture
async def closed(start_replica: StartReplica) -> Replica:
    replica = await start_replica(MODEL_REGISTRY_AUTH_READS=True)
    await catalogue(replica)
    return replica


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "no key of ours"}, {"Authorization": "Bearer none"}])
async def test_without_a_key_no_path_and_no_method_tells_anything(closed: Replica, headers: dict[str, str]) -> None:
    paths = paths_of(closed.app)
    assert {"/api/models", "/api/models/small", "/v1/models", "/docs", "/openapi.json", "/metrics"} <= paths
    for path in paths:  # so that a cache, if there were one, had something to give away
        await closed.client.get(path)

    async with closed.anonymous() as anonymous:
        for path in (paths | set(NO_ROUTES)) - ANSWERS_ANYBODY:
            for method in METHODS:
                answer = await anonymous.request(method, path, headers=headers)
                assert answer.status_code == 401, (method, path)
                assert "allow" not in answer.headers
                assert "x-registry-revision" not in answer.headers
                assert answer.headers["cache-control"] == "no-store"
                if method != "HEAD" and path in OPENAI_PATHS:  # in the shape that their clients read
                    assert answer.json()["error"]["code"] == "invalid_api_key", (method, path)
                elif method != "HEAD":
                    assert answer.json()["code"] == "E4010", (method, path)


async def test_the_read_key_of_the_environment_reads_everything_and_writes_nothing(
    start_replica: StartReplica,
) -> None:
    replica = await start_replica(MODEL_REGISTRY_AUTH_READS=True, MODEL_REGISTRY_READ_KEY=READ_KEY)
    await catalogue(replica)

    async with replica.anonymous() as reader:
        reader.headers["X-API-Key"] = READ_KEY
        passed_on = dispatched(replica.app)
        for path in paths_of(replica.app):
            is_dispatch = path in passed_on or path.partition("/small")[0] == "/jobs"
            assert ((await reader.get(path)).status_code in (401, 403)) == is_dispatch, path
        problem(await reader.post("/api/providers", json={"name": "p", "type": "openai"}), 403, "E4030")


async def test_metrics_have_a_token_of_their_own_that_opens_nothing_else(start_replica: StartReplica) -> None:
    for closes in (False, True):
        replica = await start_replica(
            MODEL_REGISTRY_AUTH_READS=closes,
            MODEL_REGISTRY_METRICS_TOKEN=METRICS_TOKEN,
            MODEL_REGISTRY_READ_KEY=READ_KEY,
        )
        async with replica.anonymous() as client:
            shown = {
                "nothing": {},
                "token": bearer(METRICS_TOKEN),
                "read": bearer(READ_KEY),
                "admin": bearer(ADMIN_KEY),
            }
            found = {key: (await client.get("/metrics", headers=headers)).status_code for key, headers in shown.items()}
            assert found == {"nothing": 401, "token": 200, "read": 403, "admin": 200}
            for path in ("/api/models", "/api/changes", "/docs"):
                assert (await client.get(path, headers=bearer(METRICS_TOKEN))).status_code == 401
            refused = await client.get("/metrics", headers=bearer(METRICS_TOKEN[:-1]))
            assert METRICS_TOKEN[:-1] not in problem(refused, 401, "E4010")["detail"]


async def test_metrics_without_a_token_follow_reads(replica: Replica, closed: Replica) -> None:
    async with replica.anonymous() as anybody, closed.anonymous() as nobody:
        assert (await anybody.get("/metrics")).status_code == 200
        assert (await nobody.get("/metrics")).status_code == 401
    assert (await closed.client.get("/metrics")).status_code == 200


async def test_load_balancers_get_the_bare_status_and_who_may_read_the_rest(closed: Replica) -> None:
    async with closed.anonymous() as anonymous:
        for headers in ({}, {"X-API-Key": "no key of ours"}):
            bare = await anonymous.get("/readyz", headers=headers)
            assert (bare.status_code, bare.json()) == (200, {"status": "ready"})
            assert (await anonymous.get("/healthz", headers=headers)).json() == {"status": "ok"}
            assert "x-registry-revision" not in bare.headers
    assert set((await closed.client.get("/readyz")).json()) == {"status", "revision", "dependencies"}


# Headers --------------------------------------------------------------------------------------------------------------

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
}


@pytest.mark.parametrize("closes", [False, True])
async def test_every_answer_has_the_headers_that_browsers_look_at(
    start_replica: StartReplica, monkeypatch: pytest.MonkeyPatch, *, closes: bool
) -> None:
    replica = await start_replica(MODEL_REGISTRY_AUTH_READS=closes)
    await catalogue(replica)
    etag = (await replica.client.get("/api/models")).headers["etag"]
    tagged = {"If-None-Match": etag}
    monkeypatch.setattr(History, "rejected_events", lambda *_args, **_more: 1 / 0)

    async with replica.anonymous() as anonymous:
        answers = [
            (await replica.client.get("/api/models"), 200),  # from the cache
            (await replica.client.get("/api/models", headers=tagged), 304),  # from the cache
            (await replica.client.head("/api/models"), 200),
            (await replica.client.get("/api/models?limit=1"), 200),
            (await replica.client.get("/api/models?limit=2", headers={"If-None-Match": "*"}), 304),
            (await replica.client.get("/api/models/nobody"), 404),
            (await replica.client.get("/nothing"), 404),
            (await replica.client.put("/api/models"), 405),
            (await replica.client.post("/api/models", json={}), 422),
            (await replica.client.post("/api/models", headers={"Content-Length": "99999999999"}), 413),
            (await replica.client.get("/api/events/rejected"), 500),
            (await anonymous.get("/api/changes"), 401),
            (await anonymous.get("/healthz"), 200),
            (await replica.client.get("/metrics"), 200),
            (await replica.client.get("/openapi.json"), 200),
            (await replica.client.get("/api/tensorzero/config"), 200),
        ]
    for answer, status in answers:
        assert answer.status_code == status, answer.request.url
        found = {name: answer.headers.get_list(name) for name in SECURITY_HEADERS}
        assert found == {name: [value] for name, value in SECURITY_HEADERS.items()}, (answer.request.url, status)


async def test_what_needed_a_key_is_kept_by_no_cache_that_others_share(replica: Replica, closed: Replica) -> None:
    for _ in range(2):  # the second answer comes from the registry's own cache
        assert (await replica.client.get("/api/models")).headers["cache-control"] == "no-cache"
        private = await closed.client.get("/api/models")
        assert private.headers["cache-control"] == "private, no-cache"
        assert private.headers["vary"] == "Authorization, X-API-Key"
        again = await closed.client.get("/api/models", headers={"If-None-Match": private.headers["etag"]})
        assert (again.status_code, again.headers["cache-control"]) == (304, "private, no-cache")
    for path in AUDIT:
        answer = await replica.client.get(path)
        assert answer.status_code in (200, 404)
        assert answer.headers["cache-control"] in ("no-store", "private, no-cache"), path
        assert answer.headers["vary"] == "Authorization, X-API-Key"


# The documentation page -----------------------------------------------------------------------------------------------


async def test_the_documentation_page_loads_nothing_from_elsewhere(replica: Replica) -> None:
    async with replica.anonymous() as browser:
        page = await browser.get("/docs")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        links = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)["']""", page.text)
        assert len(links) == 5
        assert not re.search(r"//|<script>|<style|\son\w+=", page.text.replace("<!DOCTYPE html>", ""))
        for link in links:
            asset = await browser.get(urljoin("/docs", link))
            assert asset.status_code == 200, link
            again = await browser.get(urljoin("/docs", link), headers={"If-None-Match": asset.headers.get("etag", "")})
            assert again.status_code == (304 if "etag" in asset.headers else 200)
        policy = page.headers["content-security-policy"]
        assert page.headers.get_list("content-security-policy") == [policy]
        sources = {word for part in policy.split(";") for word in part.split()[1:]}
        assert sources == {"'none'", "'self'", "data:"}
        assert "frame-ancestors 'none'" in policy
        style = (await browser.get("/docs/swagger-ui.css")).text
        assert re.findall(r"url\(\s*(?![\"']?data:)[^)]*\)|@import", style) == []
        initializer = (await browser.get("/docs/initializer.js")).text
        assert "//" not in re.sub(r"//.*", "", initializer)
        assert 'url: "openapi.json"' in initializer
        for path in ("/redoc", "/docs/README.md", "/docs/index.html", "/docs/..%2fauth.py", "/docs/oauth2-redirect"):
            assert (await browser.get(path)).status_code == 404, path


def test_what_the_page_is_made_of_is_what_was_released() -> None:
    directory = files("model_registry.api") / "swagger_ui"
    sums = dict(re.findall(r"^([0-9a-f]{64})  (\S+)$", (directory / "README.md").read_text(), re.MULTILINE))
    assert len(sums) == 6
    for digest, name in sums.items():
        assert hashlib.sha256((directory / name).read_bytes()).hexdigest() == digest, name
