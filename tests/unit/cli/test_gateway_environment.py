"""`model-registry gateways env`: what is sent to the registry, and what is printed."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import httpx
import pytest

from support.commands import Run, answer_with, run_command

ANSWER = {
    "gateway": "edge",
    "environment": ["A_KEY"],
    "variables": [{"name": "A_KEY", "needed_by": ["provider a", "provider b"], "is_set": True}],
    "missing": [{"name": "C_KEY", "needed_by": ["provider \x1b[31mc"], "is_set": False}],
}


class World:
    """A registry that answers with one environment."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.answer: dict[str, Any] = ANSWER

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return httpx.Response(200, json=self.answer)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    answer_with(monkeypatch, found)
    return found


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, world: World) -> Run:  # noqa: ARG001 (nothing real is asked)
    return partial(run_command, monkeypatch, "gateways", "env")


def test_it_shows_each_variable_with_its_state_and_who_needs_it(run: Run, world: World, capsys: Any) -> None:
    assert run("edge") == 0
    assert (world.asked[-1].method, world.asked[-1].url.path) == ("GET", "/api/gateways/edge/environment")
    first, *lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert first == ["Set", "where", "edge", "runs:", "A_KEY"]
    assert lines[0] == ["A_KEY", "set", "provider", "a,", "provider", "b"]
    assert lines[1][:3] == ["C_KEY", "not", "set"]
    assert lines[1][-2:] == ["(left", "out)"]
    assert not any("\x1b" in word for line in lines for word in line)


def test_an_environment_that_is_not_known_is_called_so(run: Run, world: World, capsys: Any) -> None:
    world.answer = ANSWER | {"environment": None}
    assert run() == 0
    assert world.asked[-1].url.path == "/api/gateways/tensorzero/environment"
    assert "Set where tensorzero runs: not known" in capsys.readouterr().out


def test_names_are_added_and_removed(run: Run, world: World) -> None:
    assert run("edge", "--add", "A_KEY", "--add", "B_KEY", "--remove", "C_KEY") == 0
    assert world.asked[-1].method == "POST"
    assert json.loads(world.asked[-1].content) == {"names": ["A_KEY", "B_KEY"], "missing": ["C_KEY"]}


def test_it_prints_json(run: Run, capsys: Any) -> None:
    assert run("edge", "--json") == 0
    assert json.loads(capsys.readouterr().out) == ANSWER
