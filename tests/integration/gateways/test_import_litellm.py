"""LiteLLM configurations through the real registry: imported over HTTP, stored in Postgres, rendered from there."""

from __future__ import annotations

from typing import Any

import pytest

from model_registry.gateways.litellm.compare import compare
from model_registry.gateways.litellm.reading.parse import parse_config
from model_registry.gateways.litellm.rendering.render import LiteLLMRenderer
from model_registry.gateways.scope import scoped
from support import litellm_configs
from support.litellm_imports import meant
from support.replica import Replica

ONE = {"config.yaml": "model_list:\n- model_name: m\n  litellm_params: {model: openai/x, api_key: os.environ/K}\n"}
IMPORT = "/api/gateways/import"


async def imported(replica: Replica, body: dict[str, Any], **options: Any) -> dict[str, Any]:
    answer = await replica.client.post(IMPORT, json=body, params=options)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def rendered(replica: Replica, name: str) -> str:
    snapshot = replica.state.registry.snapshot
    (gateway,) = snapshot.gateways.where("name", name)
    return LiteLLMRenderer().render(scoped(snapshot, gateway), gateway).files["config.yaml"].decode()


@pytest.mark.parametrize("name", litellm_configs.NAMES)
async def test_a_configuration_comes_back_from_postgres_as_it_went_in(replica: Replica, name: str) -> None:
    files = litellm_configs.files_of(name)
    body = {"files": files, "configuration": name}
    first = await imported(replica, body, skip_literal_keys=True)
    assert first["kind"] == "litellm"
    text = rendered(replica, name.partition(".")[0])
    assert compare(meant(files), parse_config({"out.yaml": text}).tree, facts=True) == []
    again = await imported(replica, body, skip_literal_keys=True)
    assert again["revision"] == first["revision"]
    assert again["created"] == again["changed"] == again["removed"] == 0
    back = await imported(replica, {"files": {"out.yaml": text}})
    assert back["revision"] == first["revision"]


async def test_a_dry_run_writes_nothing_and_says_what_would_be_written(replica: Replica) -> None:
    before = replica.state.registry.snapshot.revision
    answer = await imported(replica, {"files": ONE}, dry_run=True)
    assert {entry["kind"] for entry in answer["report"] if entry["action"] == "created"} == {
        "gateway",
        "provider",
        "model",
    }
    assert answer["revision"] == replica.state.registry.snapshot.revision == before
    assert list(replica.state.registry.snapshot.models) == []


async def test_the_rows_of_a_named_gateway_are_there(replica: Replica) -> None:
    await imported(replica, {"files": ONE, "gateway": "edge"})
    gateway = (await replica.client.get("/api/gateways/edge")).json()
    assert (gateway["kind"], gateway["content_of"], gateway["providers"]) == ("litellm", "edge", ["openai"])
    (model,) = (await replica.client.get("/api/models")).json()["items"]
    assert (model["name"], model["model_id"], model["api_key_env_var"]) == ("m", "x", "K")


async def test_keys_are_refused_with_each_place_and_nothing_is_written(replica: Replica) -> None:
    files = litellm_configs.files_of("literal_keys.yaml")
    answer = await replica.client.post(IMPORT, json={"files": files})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "E4007"
    assert "--skip-literal-keys" in problem["detail"]
    assert len(problem["reasons"]) > 8
    assert "sk-1234" not in answer.text
    assert "hunter2" not in answer.text
    assert list(replica.state.registry.snapshot.models) == []


async def test_the_kind_is_known_by_the_content(replica: Replica) -> None:
    toml = '[models.t]\nrouting = ["p"]\n[models.t.providers.p]\ntype = "openai"\nmodel_name = "x"\n'
    answer = await imported(replica, {"files": {"gateway.conf": toml}})
    assert answer["kind"] == "tensorzero"
    assert [row.name for row in replica.state.registry.snapshot.models] == ["t"]
    await imported(replica, {"files": {"gateway.conf": toml}, "gateway": "edge"})
    assert {row.name: row.kind for row in replica.state.registry.snapshot.gateways}["edge"] == "tensorzero"


MISTAKES: dict[str, tuple[dict[str, Any], int, str]] = {
    "no YAML": ({"files": {"c.yaml": "a: b: c"}}, 422, "c.yaml: line 1"),
    "no configuration": ({"files": {"c.yaml": "a: 1"}}, 422, "holds no LiteLLM configuration"),
    "no files": ({"files": {}}, 422, "files"),
    "an unknown field": ({"files": ONE, "gatway": "x"}, 422, "gateway"),
    "a configuration that is not among the files": ({"files": ONE, "configuration": "x.yaml"}, 422, "x.yaml"),
    "a gateway of another kind": ({"files": ONE, "gateway": "tensorzero"}, 409, "of the kind tensorzero"),
}


@pytest.mark.parametrize("case", MISTAKES)
async def test_a_mistake_is_refused_with_what_to_do(replica: Replica, case: str) -> None:
    body, status, words = MISTAKES[case]
    answer = await replica.client.post(IMPORT, json=body)
    assert answer.status_code == status, answer.text
    assert words in answer.text


async def test_a_group_of_another_gateway_is_a_conflict_with_both_sides(replica: Replica) -> None:
    await imported(replica, {"files": ONE, "gateway": "edge"})
    await replica.client.patch("/api/gateways/edge", json={"providers": None})  # everything
    other = {"config.yaml": ONE["config.yaml"].replace("openai/x", "openai/other")}
    answer = await replica.client.post(IMPORT, json={"files": other, "gateway": "centre"})
    assert answer.status_code == 409, answer.text
    (reason,) = answer.json()["reasons"]
    assert "gateway edge: m" in str(reason)
    assert "is openai/x there, and would be openai/" in str(reason)
    assert [row.model_id for row in replica.state.registry.snapshot.models] == ["x"]
    keep = await replica.client.post(IMPORT, json={"files": other}, params={"on_conflict": "keep"})
    assert keep.status_code == 422
    done = await imported(replica, {"files": other, "gateway": "centre"}, on_conflict="overwrite")
    assert "gateway edge: m" in {entry["name"] for entry in done["report"] if entry["action"] == "warning"}
