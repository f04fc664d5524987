"""`model-registry gateways import`: what is read and sent, what wildcards are expanded to, and what is printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import litellm_configs
from support.commands import answer_with, run_command

ANSWER = {
    "dry_run": False,
    "revision": 7,
    "kind": "litellm",
    "report": [
        {"action": "created", "kind": "model", "name": "m on p", "detail": "x on p"},
        {"action": "skipped", "kind": "key", "name": "config.yaml: line 3", "detail": "left out: set OPENAI_API_KEY"},
    ],
}


class World:
    """A registry, and a server of models, behind every URL."""

    def __init__(self) -> None:
        self.answer = httpx.Response(200, json=ANSWER)
        self.listed: list[str] = ["qwen", "llama"]
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.url.path == "/v1/models":
            return httpx.Response(200, json={"data": [{"id": name} for name in self.listed]})
        return self.answer

    def sent(self) -> tuple[dict[str, Any], dict[str, str]]:
        (request,) = [request for request in self.asked if request.url.path == "/api/gateways/import"]
        return json.loads(request.content), dict(request.url.params)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    answer_with(monkeypatch, world)
    return world


def test_a_configuration_is_sent_with_what_it_includes(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = litellm_configs.DIRECTORY / "company.yaml"
    assert run_command(monkeypatch, "gateways", "import", str(path), "--gateway", "edge", "--skip-literal-keys") == 0
    body, params = world.sent()
    assert body["files"] == litellm_configs.files_of("company.yaml")
    assert (body["configuration"], body["gateway"], body["wildcards"]) == ("company.yaml", "edge", {})
    assert params == {"dry_run": "false", "skip_literal_keys": "true"}, "what is not given is not sent"
    out = capsys.readouterr().out
    assert "m on p" in out
    assert "left out: set OPENAI_API_KEY" in out
    assert "revision 7" in out


def test_a_refusal_is_exit_code_1_with_each_reason(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reasons = [{"field": "config.yaml: line 3", "message": "holds a key"}]
    problem = {"code": "E4007", "title": "t", "detail": "holds 1 secrets", "reasons": reasons, "status": 422}
    world.answer = httpx.Response(422, json=problem, headers={"content-type": "application/problem+json"})
    path = litellm_configs.DIRECTORY / "literal_keys.yaml"
    assert run_command(monkeypatch, "gateways", "import", str(path)) == 1
    assert "holds 1 secrets" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_refused_before_anything_is_sent(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run_command(monkeypatch, "gateways", "import", str(tmp_path / "none.yaml")) == 1
    assert "none.yaml" in capsys.readouterr().err
    assert world.asked == []


def test_wildcards_are_expanded_from_the_server_that_they_name(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    entries = [
        ("local/*", {"model": "openai/*", "api_base": "http://vllm:8000/v1", "api_key": "os.environ/VLLM_KEY"}),
        ("q/*", {"model": "openai/q*", "api_base": "http://vllm:8000/v1"}),
        ("nobody/*", {"model": "nobody-knows/*"}),
        ("groq/*", {"model": "groq/*"}),
    ]
    listed = [{"model_name": name, "litellm_params": params} for name, params in entries]
    config.write_text(json.dumps({"model_list": listed}))
    monkeypatch.setenv("VLLM_KEY", "the key")
    assert run_command(monkeypatch, "gateways", "import", str(config), "--expand-wildcards") == 0
    body, _ = world.sent()
    assert body["wildcards"]["local/*"] == ["llama", "qwen"]
    assert body["wildcards"]["q/*"] == ["wen"]
    assert "openai/gpt-oss-120b" in body["wildcards"]["groq/*"]
    assert "nobody/*" not in body["wildcards"]
    assert "nobody/* stays alone" in capsys.readouterr().err
    keys = [request.headers["authorization"] for request in world.asked if request.url.path == "/v1/models"]
    assert keys == ["Bearer the key", "Bearer none"]
