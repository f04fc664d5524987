"""Two teams that import into one registry over HTTP: conflicts with both sides, and gateways of their own."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

from support.catalogue import problem
from support.replica import Replica

MODEL = '[models.{0}]\nrouting = ["p"]\n[models.{0}.providers.p]\ntype = "vllm"\nmodel_name = "m"\napi_base = "{1}"\n'
FUNCTION = '[functions.chat]\ntype = "chat"\n[functions.chat.variants.v]\ntype = "chat_completion"\nmodel = "{0}"\n'
PROMPT = 'templates.system.path = "functions/chat/system.minijinja"\n'


def team(prompt: str, name: str = "fast", base: str = "http://h:1/v1") -> dict[str, str]:
    tables = MODEL.format(name, base) + FUNCTION.format(name) + PROMPT
    return {"tensorzero.toml": tables, "functions/chat/system.minijinja": prompt}


async def sent(
    replica: Replica, files: dict[str, str], headers: dict[str, str] | None = None, **params: Any
) -> httpx.Response:
    body = {"files": files}
    return await replica.client.post("/api/tensorzero/import", json=body, params=params, headers=headers or {})


async def imported(replica: Replica, files: dict[str, str], **params: Any) -> dict[str, Any]:
    answer = await sent(replica, files, **params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    again = (await sent(replica, files, **params)).json()
    assert (again["revision"], again["changed"]) == (found["revision"], 0)
    return found


async def test_another_projects_prompt_is_a_conflict_with_both_sides_and_nothing_is_written(replica: Replica) -> None:
    first = await imported(replica, team("Be brief."), project="billing")
    for dry_run in ("true", "false"):
        refused = await sent(replica, team("Be long."), project="search", dry_run=dry_run)
        found = problem(refused, 409, "E4097")
        assert "--on-conflict rename, overwrite or keep" in found["detail"]
        sides = {r["where"]: (r["registry"], r["project"]) for r in found["reasons"]}
        assert sides["functions/chat/system.minijinja"] == ('"Be brief."', '"Be long."')
        assert all("project billing" in reason["message"] for reason in found["reasons"])
    await replica.state.registry.refresh()
    assert replica.state.registry.snapshot.revision == first["revision"]


async def test_a_renamed_project_stands_beside_the_other_and_both_import_again_without_a_change(
    replica: Replica,
) -> None:
    await imported(replica, team("Be brief."), project="billing")
    done = await imported(replica, team("Be long."), project="search", on_conflict="rename")
    renamed = {e["name"] for e in done["report"] if e["action"] == "renamed"}
    assert renamed == {"functions.chat", "functions/chat/system.minijinja"}
    functions = (await replica.client.get("/api/functions")).json()["items"]
    assert {f["name"]: f["project"] for f in functions} == {"chat": "billing", "search_chat": "search"}
    again = await imported(replica, team("Be brief."), project="billing")
    assert again["revision"] == done["revision"]


async def test_a_model_that_both_mean_alike_belongs_to_both(replica: Replica) -> None:
    await imported(replica, team("Be brief."), project="billing")
    await imported(replica, team("Be long."), project="search", on_conflict="keep")
    (model,) = (await replica.client.get("/api/models")).json()["items"]
    assert model["field_sources"] == {"name": "tensorzero/billing, tensorzero/search"}


async def test_an_import_without_a_name_is_the_default_project_or_that_of_its_directory(replica: Replica) -> None:
    await imported(replica, team("Be brief."))
    named = await sent(replica, team("Be long."), {"X-Registry-Directory": quote("Suche ß")})
    assert named.status_code == 409
    assert "of the project Suche" in named.json()["detail"]
    assert "--project default" in named.json()["detail"]
    assert (await imported(replica, team("Be long.")))["revision"]


async def test_rows_that_people_made_are_adopted(replica: Replica) -> None:
    body = {"service_name": "agent_zero", "function_name": "chat", "name": "chat"}
    assert (await replica.client.post("/api/functions", json=body)).status_code == 201
    await imported(replica, team("Be brief."), project="billing")
    (function,) = (await replica.client.get("/api/functions")).json()["items"]
    assert (function["service_name"], function["project"]) == ("agent_zero", "billing")


async def test_a_gateway_that_does_not_exist_is_made_and_has_the_same_names_for_itself(replica: Replica) -> None:
    await imported(replica, team("Be brief."), project="billing")
    await imported(replica, team("Be long."), project="search", gateway="edge")
    gateway = (await replica.client.get("/api/gateways/edge")).json()
    assert (gateway["kind"], gateway["content_of"]) == ("tensorzero", "edge")
    functions = (await replica.client.get("/api/functions")).json()["items"]
    assert {f["gateway"]: f["service_name"] for f in functions} == {"tensorzero": "tensorzero", "edge": "edge"}
    bundle = await replica.client.get("/api/tensorzero/config")
    assert bundle.text.count("[functions.chat]") == 1
    ambiguous = problem(await replica.client.get("/api/functions/chat"), 409, "E4091")
    assert len(ambiguous["matches"]) == 2
    assert (await replica.client.get("/api/functions/edge/chat")).json()["gateway"] == "edge"


async def test_what_no_project_may_be_called_is_refused(replica: Replica) -> None:
    for params in ({"project": "a, b"}, {"project": "../x"}, {"on_conflict": "merge"}, {"gateway": ""}):
        answer = await sent(replica, team("Be brief."), None, **params)
        assert answer.status_code == 422, params
