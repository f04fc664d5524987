"""Whole projects through the real registry: imported over HTTP, stored in Postgres, exported as a gateway's bundle."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import tomli

from model_registry.client.bundle import unpack_bundle
from model_registry.gateways.tensorzero.compare import compare
from model_registry.gateways.tensorzero.reading.parse import parse_project
from model_registry.gateways.tensorzero.reading.project_files import read_files
from support import paths
from support.mistakes import GOOD, MISTAKES
from support.replica import Replica

FIXTURES = paths.FIXTURES / "tensorzero"
PROJECTS = sorted(path.name for path in FIXTURES.iterdir())

Files = dict[str, str]

MODEL = (
    '[models.m]\nrouting = ["p"]\n[models.m.providers.p]\ntype = "vllm"\nmodel_name = "m"\napi_base = "http://h:1/v1"\n'
)
FUNCTION = '[functions.f]\ntype = "chat"\n[functions.f.variants.v]\ntype = "chat_completion"\nmodel = "m"\n'
SMALL = {
    "tensorzero.toml": MODEL
    + FUNCTION
    + 'templates.t.path = "f/t.txt"\n[tools.look]\ndescription = "d"\nparameters = "p.json"\n',
    "f/t.txt": "Hello {{ name }}\r\n",
    "p.json": '{"type": "object"}',
}


async def imported(replica: Replica, files: Files, *, replace: bool = False) -> dict[str, Any]:
    answer = await replica.client.post(
        "/api/tensorzero/import", json={"files": files}, params={"replace": str(replace).lower()}
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def bundled(replica: Replica) -> Files:
    answer = await replica.client.get("/api/tensorzero/bundle")
    assert answer.status_code == 200
    return {path: content.decode() for path, content in unpack_bundle(answer.content).items()}


def assert_same(files: Files, bundle: Files) -> None:
    said, rendered = parse_project(files), tomli.loads(bundle["tensorzero.toml"])
    assert compare(said.tree, said.files, rendered, bundle) == []
    if [name for name in files if name.endswith(".toml")] == ["tensorzero.toml"]:
        # As it was written, without anything that reading makes of it.
        assert compare(tomli.loads(files["tensorzero.toml"]), files, rendered, bundle) == []


@pytest.mark.parametrize("name", PROJECTS)
async def test_a_project_comes_back_from_postgres_as_it_went_in(replica: Replica, name: str) -> None:
    files, _ = read_files([FIXTURES / name])
    first = await imported(replica, files)
    assert_same(files, await bundled(replica))
    again = await imported(replica, files)
    assert again["revision"] == first["revision"]
    assert again["created"] == again["changed"] == again["removed"] == 0


async def test_replacing_leaves_exactly_the_imported_project(replica: Replica) -> None:
    for name in PROJECTS:
        files, _ = read_files([FIXTURES / name])
        await imported(replica, files, replace=True)
        bundle = await bundled(replica)
        assert_same(files, bundle)
        assert bundle.keys() - {"tensorzero.toml"} == parse_project(files).files.keys()


async def test_floats_that_json_writes_as_integers_stay_floats(replica: Replica) -> None:
    body = '[[functions.f.variants.v.extra_body]]\npointer = "/x"\nvalue = [1e16, 1e300, 2.0, 2, 9007199254740993, 5e-324]\n'  # noqa: E501
    files = {"tensorzero.toml": MODEL + FUNCTION + body}
    await imported(replica, files)
    assert_same(files, await bundled(replica))
    await replica.state.registry._load()  # noqa: SLF001 (what a fresh replica does)
    value = tomli.loads((await bundled(replica))["tensorzero.toml"])["functions"]["f"]["variants"]["v"]["extra_body"]
    assert [type(x) for x in value[0]["value"]] == [float, float, float, int, int, float]
    assert (await imported(replica, files))["changed"] == 0


async def test_a_bundle_is_byte_identical_and_answers_304(replica: Replica) -> None:
    await imported(replica, SMALL)
    first = await replica.client.get("/api/tensorzero/bundle")
    again = await replica.client.get("/api/tensorzero/bundle?wait=0")  # made anew
    assert first.content == again.content
    assert first.headers["content-type"] == "application/gzip"
    same = await replica.client.get("/api/tensorzero/bundle", headers={"If-None-Match": first.headers["etag"]})
    assert same.status_code == 304
    await replica.client.put("/api/tensorzero/files/f/t.txt", content="x", headers={"Content-Type": "text/plain"})
    changed = await replica.client.get("/api/tensorzero/bundle")
    assert changed.headers["etag"] != first.headers["etag"]


async def test_files_are_written_read_and_deleted_with_etags(replica: Replica) -> None:
    url = "/api/tensorzero/files/a/b c.txt"
    created = await replica.client.put(url, json={"content": "one"})
    assert created.status_code == 201
    read = await replica.client.get(url)
    assert read.json()["content"] == "one"
    assert read.headers["etag"] == created.headers["etag"]
    text = {"Content-Type": "text/plain", "If-Match": read.headers["etag"]}
    assert (await replica.client.put(url, content="{two}", headers=text)).status_code == 200
    assert (await replica.client.put(url, content="three", headers=text)).status_code == 412
    assert (await replica.client.delete(url, headers=text)).status_code == 412
    listing = (await replica.client.get("/api/tensorzero/files")).json()
    assert [(item["path"], item["bytes"]) for item in listing["items"]] == [("a/b c.txt", 5)]
    assert (await replica.client.delete(url)).status_code == 204
    assert (await replica.client.get(url)).status_code == 404


@pytest.mark.parametrize(
    "path", ["%2e%2e/x", "a/%2e%2e/x", "%2Fetc/passwd", "tensorzero.toml", "a/%2e/b", "a//b", "a%5Cb"]
)
async def test_paths_that_leave_the_project_are_refused(replica: Replica, path: str) -> None:
    answer = await replica.client.put(httpx.URL(f"http://registry/api/tensorzero/files/{path}"), json={"content": ""})
    assert answer.status_code == 422, answer.text
    assert (await replica.client.get("/api/tensorzero/files")).json()["count"] == 0


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"\xff\xfe", {"Content-Type": "text/plain"}),
        (b"nul\0", {"Content-Type": "text/plain"}),
        (b"{", {"Content-Type": "application/json"}),
        (b'{"content": 1}', {"Content-Type": "application/json"}),
    ],
)
async def test_what_is_no_text_is_refused(replica: Replica, body: bytes, headers: dict[str, str]) -> None:
    answer = await replica.client.put("/api/tensorzero/files/x", content=body, headers=headers)
    assert answer.status_code == 422, answer.text


async def test_sections_are_written_read_and_deleted_with_etags(replica: Replica) -> None:
    url = "/api/tensorzero/sections/metrics"
    value = {"good": {"type": "boolean", "optimize": "max", "level": "inference"}}
    created = await replica.client.put(url, json={"value": value})
    assert created.status_code == 201
    read = await replica.client.get(url)
    assert read.json()["value"] == value
    stale = {"If-Match": '"old"'}
    assert (await replica.client.put(url, json={"value": {}}, headers=stale)).status_code == 412
    assert (await replica.client.put(url, json={"value": {}}, headers={"If-Match": read.headers["etag"]})).is_success
    assert [s["name"] for s in (await replica.client.get("/api/tensorzero/sections")).json()["items"]] == ["metrics"]
    assert (await replica.client.delete(url)).status_code == 204
    assert (await replica.client.get(url)).status_code == 404


@pytest.mark.parametrize("name", ["models", "functions", "modles"])
async def test_what_is_no_section_of_its_own_is_refused(replica: Replica, name: str) -> None:
    answer = await replica.client.put(f"/api/tensorzero/sections/{name}", json={"value": {}})
    assert answer.status_code == 422


async def test_what_the_configuration_refers_to_cannot_be_deleted(replica: Replica) -> None:
    await imported(replica, SMALL)
    for path, key in (("f/t.txt", "functions.f.variants.v.templates.t.path"), ("p.json", "tools.look.parameters")):
        answer = await replica.client.delete(f"/api/tensorzero/files/{path}")
        assert answer.status_code == 422
        assert key in answer.text
    assert (await bundled(replica)).keys() == SMALL.keys()


async def test_files_and_sections_need_a_key_to_be_written(replica: Replica) -> None:
    async with replica.anonymous() as anyone:
        assert (await anyone.put("/api/tensorzero/files/x", json={"content": ""})).status_code == 401
        assert (await anyone.put("/api/tensorzero/sections/gateway", json={"value": {}})).status_code == 401
        assert (await anyone.delete("/api/tensorzero/files/x")).status_code == 401
        assert (await anyone.get("/api/tensorzero/bundle")).status_code == 200


async def test_a_project_with_any_one_mistake_writes_nothing_and_names_it(replica: Replica) -> None:
    await imported(replica, {"tensorzero.toml": GOOD})
    before = replica.state.registry.snapshot.revision
    for name, mistake in MISTAKES.items():
        answer = await replica.client.post("/api/tensorzero/import", json={"files": mistake.files})
        assert answer.status_code == 422, f"{name}: {answer.text}"
        reasons = answer.json()["reasons"]
        named = [r for r in reasons if mistake.where in r["where"] and mistake.says in r["message"]]
        assert named, f"{name}: {reasons}"
    await replica.state.registry.refresh()
    assert replica.state.registry.snapshot.revision == before


async def test_old_syntax_comes_in_with_an_upgrade_and_the_report_has_each(replica: Replica) -> None:
    old = f"[gateway]\ndisable_observability = true\n{GOOD}"
    body = {"files": {"tensorzero.toml": old}}
    refused = await replica.client.post("/api/tensorzero/import", json=body)
    assert (refused.status_code, "upgrade=true" in refused.text) == (422, True)
    done = await replica.client.post("/api/tensorzero/import", json=body, params={"upgrade": "true"})
    assert done.status_code == 200, done.text
    upgrades = [entry["name"] for entry in done.json()["report"] if entry["action"] == "upgraded"]
    assert upgrades == ["gateway.disable_observability"]
    section = (await replica.client.get("/api/tensorzero/sections/gateway")).json()
    assert section["value"] == {"observability": {"enabled": False}}


async def test_a_test_model_is_served_with_a_warning_in_the_status_and_no_service_finds_it(replica: Replica) -> None:
    answer = await imported(replica, {"tensorzero.toml": GOOD.replace('model = "m"', 'model = "dummy::good"')})
    (warned,) = [entry for entry in answer["report"] if entry["action"] == "warning"]
    assert warned["name"] == "f.v"
    config = await replica.client.get("/api/tensorzero/config")
    assert "dummy::good" in config.text
    (warning,) = (await replica.client.get("/api/tensorzero/status")).json()["served"]["warnings"]
    assert (warning["where"], "every call fails" in warning["message"]) == ("functions.f.variants.v.model", True)
    assert (await replica.client.get("/api/mappings")).json()["count"] == 0
    assert [row["name"] for row in (await replica.client.get("/api/models")).json()["items"]] == ["m"]
    assert (await replica.client.get("/api/models/dummy::good")).status_code == 404
