"""Which revision a gateway has: pinned, promoted, taken back, and with the approval of others."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import psycopg
import pytest

from model_registry.entities.api_key import hash_of, new_secret
from model_registry.entities.change import Operation
from model_registry.gateways.tensorzero.validation.checker import TensorZeroChecker
from model_registry.gateways.tensorzero.validation.validate import CRASHED, ValidationResult
from support.catalogue import add, add_mapping, add_model, add_provider, get, places, problem
from support.replica import Replica
from support.waiting import until

PROD = "/api/gateways/prod"


@pytest.fixture
async def prod(replica: Replica) -> Replica:
    """A catalogue, and the gateways staging and prod, of which prod is pinned to the revision before `second`."""
    await add_provider(replica.client)
    await add_model(replica.client, "first")
    await add_mapping(replica.client, "agents/chat/main", "first")
    await add(replica.client, "gateways", name="staging", kind="tensorzero")
    await add(replica.client, "gateways", name="prod", kind="tensorzero", pinned_revision=newest(replica))
    await add_model(replica.client, "second")
    return replica


def newest(replica: Replica) -> int:
    return replica.state.registry.snapshot.revision


async def config(replica: Replica, prefix: str = PROD) -> str:
    response = await replica.client.get(f"{prefix}/config")
    assert response.status_code == 200, response.text
    return response.text


async def promote(client: httpx.AsyncClient, gateway: str = "prod", **body: Any) -> Any:
    dry_run = body.pop("dry_run", False)
    body = {name.rstrip("_"): value for name, value in body.items()}
    response = await client.post(f"/api/gateways/{gateway}/promote", json=body, params={"dry_run": dry_run})
    assert response.status_code == 200, response.text
    return response.json()


@asynccontextmanager
async def administrator(replica: Replica, name: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with an admin key of its own."""
    secret = new_secret()
    row = {"name": name, "key_hash": hash_of(secret), "scopes": ["admin"]}
    await replica.state.registry.write([Operation("api_keys", "insert", str(uuid.uuid4()), row)], actor="test")
    async with replica.anonymous() as client:
        client.headers["Authorization"] = f"Bearer {secret}"
        yield client


@pytest.fixture
async def others(prod: Replica) -> AsyncIterator[tuple[httpx.AsyncClient, ...]]:
    """Two more administrators, and prod asks for the approval of two others."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(administrator(prod, name)) for name in ("ann", "bob")]
        changed = await prod.client.patch(PROD, json={"settings": {"approval": 2}})
        assert changed.status_code == 200, changed.text
        yield tuple(clients)


async def test_a_pinned_gateway_keeps_its_revision_whatever_is_written(prod: Replica) -> None:
    assert "second" not in await config(prod)
    assert "second" in await config(prod, "/api/gateways/staging")
    status = await get(prod.client, f"{PROD}/status")
    assert status["served"]["revision"] == status["pinned_revision"] < status["newest_revision"]


async def test_a_promotion_moves_it_and_says_what_differs(prod: Replica) -> None:
    dry = await promote(prod.client, revision="latest", dry_run=True)
    unmoved = await config(prod)
    done = await promote(prod.client, revision="latest", reason="second is good")

    assert (dry["state"], dry["dry_run"], dry["accepted"], dry["added"]) == ("done", True, True, 1)
    assert [row["name"] for row in dry["items"]] == ["second at ollama_local"]
    assert "+[models.second]" in dry["text"]
    assert "second" not in unmoved
    assert done["state"] == "done"
    assert done["pinned_revision"] == done["promotion"]["revision"]
    assert "second" in await config(prod)
    await add_model(prod.client, "third")
    assert "third" not in await config(prod)


async def test_it_goes_back_and_follows_the_newest_again(prod: Replica) -> None:
    before = (await get(prod.client, PROD))["pinned_revision"]
    await promote(prod.client, revision="latest")
    await promote(prod.client, revision=before, reason="second is bad")
    assert "second" not in await config(prod)

    await promote(prod.client, revision=None)
    await add_model(prod.client, "third")
    assert "third" in await config(prod)


async def test_it_gets_the_revision_of_another_gateway(prod: Replica) -> None:
    await config(prod, "/api/gateways/staging")
    served = (await get(prod.client, "/api/gateways/staging/status"))["served"]["revision"]
    done = await promote(prod.client, from_="staging")

    assert (done["promotion"]["from_gateway"], done["pinned_revision"]) == ("staging", served)
    assert await config(prod) == await config(prod, "/api/gateways/staging")


async def test_the_history_says_who_when_from_what_to_what_and_why(prod: Replica) -> None:
    before = (await get(prod.client, PROD))["pinned_revision"]
    done = await promote(prod.client, revision="latest", reason="second is good")
    await prod.client.patch(PROD, json={"description": "no move"})
    await prod.client.patch(PROD, json={"pinned_revision": before})
    history = await get(prod.client, f"{PROD}/history")

    by_hand, promotion, made = history["items"]
    assert history["count"] == 3
    assert (by_hand["pinned_after"], by_hand["promotion"]) == (before, None)
    assert (promotion["pinned_before"], promotion["pinned_after"]) == (before, done["pinned_revision"])
    assert (promotion["actor"], promotion["promotion"]["by"]) == ("environment key", "environment key")
    assert promotion["promotion"]["reason"] == "second is good"
    assert (made["pinned_before"], made["pinned_after"]) == (None, before)
    assert all(item["at"] for item in history["items"])


async def test_what_it_has_already_changes_nothing(prod: Replica) -> None:
    before = newest(prod)
    pinned = (await get(prod.client, PROD))["pinned_revision"]

    assert (await promote(prod.client, revision=pinned))["state"] == "unchanged"
    assert newest(prod) == before


async def test_a_restart_serves_the_pinned_revision(prod: Replica, start_replica: Any) -> None:
    again: Replica = await start_replica()

    assert await config(again) == await config(prod)


async def test_what_validation_refuses_is_not_switched_to(prod: Replica, database: psycopg.Connection) -> None:
    database.execute("insert into config_sections (name, value) values ('nonsense', '{}')")
    await get(prod.client, "/api/models")
    await prod.client.get("/api/models", headers={"Cache-Control": "no-cache"})
    unmoved = await config(prod)
    dry = await promote(prod.client, revision="latest", dry_run=True)
    refused = await prod.client.post(f"{PROD}/promote", json={"revision": "latest"})

    assert not dry["accepted"]
    assert [row["name"] for row in dry["excluded"]] == ["nonsense"]
    assert "section nonsense" in places(problem(refused, 422, "E4007"))
    assert await config(prod) == unmoved
    assert (await promote(prod.client, revision="latest", leave_out_refused=True))["state"] == "done"
    assert "second" in await config(prod)


async def test_what_holds_back_the_whole_configuration_is_not_switched_to(
    prod: Replica, database: psycopg.Connection
) -> None:
    changed = await prod.client.patch(PROD, json={"settings": {"publish": "strict"}})
    assert changed.status_code == 200, changed.text
    database.execute("insert into config_sections (name, value) values ('nonsense', '{}')")

    refused = await prod.client.post(f"{PROD}/promote", json={"revision": "latest", "leave_out_refused": True})
    found = problem(refused, 422, "E4007")
    assert "stays where it is" in found["detail"]
    assert any("nonsense" in reason["message"] + reason["where"] for reason in found["reasons"])


async def test_a_promotion_needs_a_revision_that_there_is(prod: Replica) -> None:
    await prod.state.history.trim(-1)  # of everything that no gateway has
    problem(await prod.client.post(f"{PROD}/promote", json={"revision": 10**9}), 404, "E4041")
    problem(await prod.client.post(f"{PROD}/promote", json={"revision": 0}), 410, "E4042")
    for method, path, body in (
        ("PATCH", PROD, {}),
        ("POST", "/api/gateways", {"name": "other", "kind": "tensorzero"}),
    ):
        problem(await prod.client.request(method, path, json=body | {"pinned_revision": 10**9}), 404, "E4041")
        problem(await prod.client.request(method, path, json=body | {"pinned_revision": 0}), 410, "E4042")


async def test_the_log_keeps_what_a_gateway_is_pinned_to(prod: Replica) -> None:
    pinned = (await get(prod.client, PROD))["pinned_revision"]
    trimmed = await prod.state.history.trim(-1)

    assert (trimmed["oldest"], trimmed["held_by"]) == (pinned, ["prod"])
    assert "first" in (await prod.client.get(f"{PROD}/config", params={"revision": pinned})).text
    await promote(prod.client, revision=None)
    trimmed = await prod.state.history.trim(-1)
    assert trimmed["oldest"] > pinned
    assert trimmed["held_by"] == []


async def test_a_pin_does_not_make_the_log_shorter(prod: Replica) -> None:
    trimmed = await prod.state.history.trim(1000)  # of which nothing is as old

    assert trimmed == {"removed": 0, "oldest": 0, "held_by": []}


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({}, 422, "give one of"),
        ({"revision": 1, "from": "staging"}, 422, "give one of"),
        ({"revision": "newest"}, 422, "latest"),
        ({"revision": -1}, 422, "at least 0"),
        ({"revision": 1, "kind": "tensorzero"}, 422, "kind"),
        ({"from": "stagin"}, 422, "staging"),
        ({"from": "prod"}, 409, "itself"),
        ({"from": "apart"}, 409, "content"),
    ],
)
async def test_a_mistaken_promotion_is_refused_with_what_to_do(
    prod: Replica, body: dict[str, Any], status: int, word: str
) -> None:
    await add(prod.client, "gateways", name="apart", kind="tensorzero", content_of="apart")
    response = await prod.client.post(f"{PROD}/promote", json=body)

    assert response.status_code == status, response.text
    assert word in response.text


async def test_a_promotion_waits_until_enough_others_approve_it(
    prod: Replica, others: tuple[httpx.AsyncClient, ...]
) -> None:
    ann, bob = others
    asked = await promote(prod.client, revision="latest", reason="second is good")
    seen = {"revision": asked["promotion"]["revision"]}
    approve = f"{PROD}/promotions/approve"

    assert (asked["state"], asked["promotion"]["needed"]) == ("pending", 2)
    assert "second" not in await config(prod)
    problem(await prod.client.post(approve, json=seen), 403, "E4030")
    first = await ann.post(approve, json=seen)
    assert (first.status_code, first.json()["state"]) == (200, "pending")
    problem(await ann.post(approve, json=seen), 409, "E4090")
    assert "second" not in await config(prod)
    last = await bob.post(approve, json=seen)
    assert (last.status_code, last.json()["state"]) == (200, "done"), last.text
    assert [approval["by"] for approval in last.json()["promotion"]["approvals"]] == ["ann", "bob"]
    assert "second" in await config(prod)
    problem(await bob.post(approve, json=seen), 409, "E4090")
    assert [item["promotion"] and item["promotion"]["state"] for item in (await get(ann, f"{PROD}/history"))["items"]][
        :3
    ] == ["done", "pending", "pending"]


async def test_another_promotion_begins_with_no_approval(prod: Replica, others: tuple[httpx.AsyncClient, ...]) -> None:
    ann, bob = others
    first = await promote(prod.client, revision="latest")
    await ann.post(f"{PROD}/promotions/approve", json={"revision": first["promotion"]["revision"]})
    await add_model(prod.client, "third")
    second = await promote(ann, revision="latest")

    assert second["promotion"]["approvals"] == []
    stale = await bob.post(f"{PROD}/promotions/approve", json={"revision": first["promotion"]["revision"]})
    assert "Another promotion" in problem(stale, 409, "E4090")["detail"]
    problem(await ann.post(f"{PROD}/promotions/approve", json={"revision": second["pinned_revision"]}), 409, "E4090")


async def test_a_pending_promotion_is_withdrawn(prod: Replica, others: tuple[httpx.AsyncClient, ...]) -> None:
    asked = await promote(prod.client, revision="latest")
    withdrawn = await others[0].post(f"{PROD}/promotions/withdraw")

    assert withdrawn.json()["state"] == "withdrawn"
    seen = {"revision": asked["promotion"]["revision"]}
    problem(await others[1].post(f"{PROD}/promotions/approve", json=seen), 409, "E4090")
    problem(await others[1].post(f"{PROD}/promotions/withdraw"), 409, "E4090")


async def test_the_log_keeps_what_a_gateway_may_be_moved_to(
    prod: Replica, others: tuple[httpx.AsyncClient, ...]
) -> None:
    before = (await get(prod.client, PROD))["pinned_revision"] - 1
    await promote(others[0], revision=before)

    assert (await prod.state.history.trim(-1))["oldest"] <= before


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("PATCH", {"pinned_revision": 1}),
        ("PATCH", {"settings": {"approval": 1}}),
        ("PATCH", {"settings": {}}),
        ("PATCH", {"settings": {"approval": 3, "publish": "strict"}}),
        ("PATCH", {"name": "former"}),
        ("PATCH", {"providers": ["ollama_local"]}),
        ("PATCH", {"content_of": "prod"}),
        ("PUT", {"name": "prod", "kind": "tensorzero"}),
        ("DELETE", None),
        ("PROMOTE", {"revision": None}),
    ],
)
async def test_one_key_cannot_walk_around_approvals(
    prod: Replica, others: tuple[httpx.AsyncClient, ...], method: str, body: Any
) -> None:
    row = await get(prod.client, PROD)
    path = f"{PROD}/promote" if method == "PROMOTE" else PROD
    response = await prod.client.request(method.replace("PROMOTE", "POST"), path, json=body)

    assert "promote" in problem(response, 409, "E4090")["detail"]
    assert await get(others[0], PROD) == row


async def test_what_others_need_not_approve_is_edited(prod: Replica, others: tuple[httpx.AsyncClient, ...]) -> None:
    for body in ({"description": "production"}, {"environment": ["A_KEY"]}, {"settings": {"approval": 3}}):
        response = await prod.client.patch(PROD, json=body)
        assert response.status_code == 200, response.text
    assert (await get(others[0], PROD))["settings"]["approval"] == 3


async def test_approval_is_lowered_with_approvals(prod: Replica, others: tuple[httpx.AsyncClient, ...]) -> None:
    asked = await promote(prod.client, approval=0, reason="the others leave")
    assert (asked["state"], asked["promotion"]["change"]) == ("pending", "approval")
    for client in others:
        assert (await client.post(f"{PROD}/promotions/approve", json={"approval": 0})).status_code == 200

    row = await get(prod.client, PROD)
    assert row["settings"]["approval"] == 0
    assert row["pinned_revision"] is not None
    assert (await promote(prod.client, revision="latest"))["state"] == "done"


async def test_approvals_need_a_pinned_gateway(prod: Replica) -> None:
    approval = await prod.client.patch("/api/gateways/staging", json={"settings": {"approval": 1}})
    pinned = {"settings": {"approval": 1}, "pinned_revision": newest(prod)}
    assert (await prod.client.patch("/api/gateways/staging", json=pinned)).status_code == 200
    unpinned = await prod.client.patch("/api/gateways/staging", json={"pinned_revision": None})

    promoted = await prod.client.post("/api/gateways/tensorzero/promote", json={"approval": 1})
    for response in (approval, unpinned, promoted):
        assert places(problem(response, 422, "E4005")) == {"settings.approval"}


async def test_the_last_approval_checks_what_it_switches_to(
    prod: Replica, others: tuple[httpx.AsyncClient, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = await promote(prod.client, revision="latest")
    seen = {"revision": asked["promotion"]["revision"]}
    assert (await others[0].post(f"{PROD}/promotions/approve", json=seen)).status_code == 200

    async def refuses(*_: Any, **__: Any) -> ValidationResult:
        return ValidationResult((CRASHED,))

    monkeypatch.setattr(TensorZeroChecker, "check", refuses)
    problem(await others[1].post(f"{PROD}/promotions/approve", json=seen), 422, "E4007")
    monkeypatch.undo()
    assert (await get(prod.client, PROD))["promotion"]["state"] == "pending"
    assert (await others[1].post(f"{PROD}/promotions/approve", json=seen)).json()["state"] == "done"


async def test_a_promotion_begins_with_the_row_as_another_replica_left_it(
    prod: Replica, database: psycopg.Connection[Any]
) -> None:
    database.execute("update gateways set description = 'for all' where name = 'prod'")

    assert (await promote(prod.client, revision="latest"))["state"] == "done"


async def test_waiting_shows_what_became_of_a_promotion(prod: Replica) -> None:
    response = await prod.client.post(f"{PROD}/promote", json={"revision": "latest"}, params={"wait": 20})

    assert response.json()["publication"]["state"] == "published"

    async def served() -> bool:
        return bool((await get(prod.client, f"{PROD}/status"))["served"]["revision"] == newest(prod) - 1)

    await until(served)
