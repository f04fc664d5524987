"""`model-registry sources ...`: what is sent to the registry, and what is printed."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import httpx
import pytest

from support.commands import Run, answer_with, run_command

ROW = {
    "name": "gpu_1",
    "kind": "ollama",
    "address": "http://gpu-1:11434",
    "active": True,
    "options": {"activate": True, "timeout_seconds": 5.0},
    "environment_variable": None,
    "state": "failing",
    "error": "it answers \x1b[31m500",
    "failing_since": "2026-11-30T09:00:00+00:00",
    "last_good_at": None,
    "next_at": None,
    "models": 2,
    "counts": {"created": 2, "changed": 0, "missing": 1, "passed_over": 0},
    "skipped": [{"name": "bad", "reason": "no number"}],
    "skipped_count": 1,
    "passed_over": [],
}
ENTRY = {"action": "changed", "kind": "model", "provider": "p", "name": "m", "fields": ["parameters"], "reason": ""}


class World:
    """A registry that answers with one source."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.refreshed: dict[str, Any] = {"revision": 7, "report": [ENTRY], "dry_run": False}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.method == "DELETE":
            return httpx.Response(204)
        if request.url.path.endswith("/refresh"):
            return httpx.Response(200, json=self.refreshed)
        if request.method == "POST" and json.loads(request.content)["name"] == "taken":
            return httpx.Response(409, json={"code": "E4002", "detail": "Change it with PATCH."})
        one = request.url.path != "/api/sources" or request.method == "POST"
        return httpx.Response(200, json=ROW if one else {"items": [ROW], "count": 1})

    def sent(self) -> Any:
        return json.loads(self.asked[-1].content)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    answer_with(monkeypatch, found)
    return found


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, world: World) -> Run:  # noqa: ARG001 (nothing real is asked)
    return partial(run_command, monkeypatch, "sources")


def test_a_source_is_added_with_what_is_said_of_it(run: Run, world: World, capsys: Any) -> None:
    options = ("--interval", "60", "--provider", "lab", "--position", "3", "--key-variable", "KEY", "--activate")
    assert run("add", "gpu_1", "http://gpu-1:11434", "--kind", "ollama", "--timeout", "5", *options) == 0
    assert world.sent() == {
        "name": "gpu_1",
        "kind": "ollama",
        "address": "http://gpu-1:11434",
        "active": True,
        "interval_seconds": 60,
        "provider": "lab",
        "position": 3,
        "api_key_env_var": "KEY",
        "options": {"timeout_seconds": 5, "activate": True},
    }
    assert "added gpu_1" in capsys.readouterr().out
    assert run("add", "hub", "--kind", "huggingface", "--model", "a/b", "--model", "c/d", "--only-existing") == 0
    assert world.sent()["options"] == {"models": ["a/b", "c/d"], "only_existing": True}


def test_a_source_that_exists_is_changed_by_another_command(run: Run, capsys: Any) -> None:
    assert run("add", "taken", "http://gpu-1:11434", "--kind", "ollama") != 0
    error = capsys.readouterr().err
    assert "The source 'taken' already exists" in error
    assert "model-registry sources set taken" in error
    assert "PATCH" not in error


def test_only_what_is_named_changes_and_other_options_stay(run: Run, world: World) -> None:
    assert run("set", "gpu_1", "--no-activate", "--inactive") == 0
    assert world.sent() == {"options": {"activate": False, "timeout_seconds": 5.0}, "active": False}
    assert run("set", "gpu_1") == 2


def test_a_list_and_a_source_show_how_it_answers_and_no_control_characters(run: Run, capsys: Any) -> None:
    assert run("list") == 0
    line = "failing  gpu_1  ollama  http://gpu-1:11434  2 models  1 skipped  never answered  (it answers "
    assert capsys.readouterr().out.startswith(line)
    assert run("get", "gpu_1") == 0
    printed = capsys.readouterr().out
    assert "last change: 2 created, 1 no longer listed" in printed
    assert "failing since: 2026-11-30T09:00:00" in printed
    assert "skipped bad: no number" in printed
    assert "\x1b[31m500" not in printed
    assert run("list", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "gpu_1"


def test_a_refresh_prints_the_report(run: Run, world: World, capsys: Any) -> None:
    assert run("refresh", "gpu_1", "--dry-run") == 0
    assert world.asked[-1].url.params["dry_run"] == "true"
    assert run("refresh", "gpu_1") == 0
    printed = capsys.readouterr().out
    assert "model m: parameters" in printed
    assert "0 created, 1 changed, 0 skipped, 0 unchanged" in printed
    world.refreshed = {"asking": True, "revision": 7, "report": [], "dry_run": False}
    assert run("refresh", "gpu_1") == 0
    assert "has not answered yet" in capsys.readouterr().out
    assert run("rm", "gpu_1") == 0
