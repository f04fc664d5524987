"""`model-registry tensorzero ...`: output and exit codes, with and without a registry."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from model_registry.cli.errors import EXIT_CODES, exit_code
from model_registry.cli.tensorzero import Outcome, print_summary
from model_registry.errors import RegistryError
from model_registry.gateways.bundle import archive
from model_registry.imports.plan import ReportEntry
from support.commands import answer_with, run_command
from support.paths import ROOT

AGENTS = str(ROOT / "tests" / "fixtures" / "tensorzero" / "agents" / "tensorzero.toml")
ANSWER = {
    "dry_run": False,
    "revision": 7,
    "report": [{"action": "changed", "kind": "variant", "name": "f.a", "detail": "weight 1.0 -> 0.3"}],
    "created": 0,
    "changed": 1,
    "unchanged": 0,
}

Serve = Callable[[Callable[[httpx.Request], httpx.Response]], None]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Put a registry behind every URL."""
    return partial(answer_with, monkeypatch)


@pytest.fixture(autouse=True)
def nobody_answers(serve: Serve) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused", request=request)

    serve(refuse)


def problem(status: int, code: str, **more: Any) -> httpx.Response:
    return httpx.Response(status, json={"type": "about:blank", "title": "T", "status": status, "code": code} | more)


def test_a_dry_run_needs_no_registry(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(monkeypatch, "tensorzero", "import", AGENTS, "--dry-run") == 0
    out = capsys.readouterr().out
    assert "Would be created (41)" in out
    assert "41 created, 0 changed, 0 unchanged" in out
    assert "Nothing was written. Compared with an empty registry: No registry answers at http://127.0.0.1:8110" in out


def test_a_dry_run_asks_the_registry_when_there_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], serve: Serve
) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=ANSWER | {"dry_run": True})

    serve(answer)
    assert (
        run_command(monkeypatch, "tensorzero", "import", AGENTS, "--dry-run", "--registry", "http://registry:1/") == 0
    )
    (request,) = asked
    assert (request.method, str(request.url)) == ("POST", "http://registry:1/api/tensorzero/import?dry_run=true")
    assert "authorization" not in request.headers
    out = capsys.readouterr().out
    assert "Would be changed (1)\n  variant  f.a  weight 1.0 -> 0.3\n" in out
    assert "Nothing was written. Compared with the registry at http://registry:1/" in out


@pytest.mark.parametrize(("status", "code"), [(401, "E4010"), (403, "E4030"), (503, "E5030")])
def test_a_dry_run_goes_on_without_a_registry_that_does_not_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], serve: Serve, status: int, code: str
) -> None:
    serve(lambda _: problem(status, code, detail="Not now."))
    assert run_command(monkeypatch, "tensorzero", "import", AGENTS, "--dry-run") == 0
    assert "an empty registry: Not now." in capsys.readouterr().out


def test_an_import_sends_the_files_and_the_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], serve: Serve
) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=ANSWER)

    serve(answer)
    monkeypatch.setenv("MODEL_REGISTRY_API_KEY", "mreg_test")
    monkeypatch.setenv("MODEL_REGISTRY_URL", "http://registry:1")
    assert run_command(monkeypatch, "tensorzero", "import", AGENTS) == 0
    (request,) = asked
    assert request.url.params["dry_run"] == "false"
    assert request.headers["authorization"] == "Bearer mreg_test"
    files = {"tensorzero.toml": Path(AGENTS).read_text("utf-8")}
    assert json.loads(request.content) == {"files": files, "configuration": ["tensorzero.toml"]}
    out = capsys.readouterr().out
    assert "0 created, 1 changed, 0 unchanged, revision 7" in out
    assert "See it with: model-registry tensorzero render --registry http://registry:1" in out


def test_an_import_names_its_gateway_and_project_and_otherwise_its_directory(
    monkeypatch: pytest.MonkeyPatch, serve: Serve
) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=ANSWER)

    serve(answer)
    assert run_command(monkeypatch, "tensorzero", "import", AGENTS, "--wait", "0") == 0
    more = ("--gateway", "edge", "--project", "billing", "--on-conflict", "rename")
    assert run_command(monkeypatch, "tensorzero", "import", AGENTS, "--wait", "0", *more) == 0
    first, second = asked
    assert dict(first.url.params) == {"dry_run": "false"}
    assert first.headers["x-registry-directory"] == "agents"
    named = {"gateway": "edge", "project": "billing", "on_conflict": "rename"}
    assert dict(second.url.params) == {"dry_run": "false", **named}


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_conflict_is_printed_with_both_sides_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], serve: Serve, more: tuple[str, ...]
) -> None:
    reason = {"where": "models.m.routing", "message": "is a in billing, and b in this one"}
    sides = {"registry": '"a"', "project": '"b"'}
    serve(lambda _: problem(409, "E4097", detail="One entry differs.", reasons=[reason | sides]))
    assert run_command(monkeypatch, "tensorzero", "import", AGENTS, *more) == 1
    err = capsys.readouterr().err
    assert "error: One entry differs." in err
    assert "  models.m.routing: is a in billing, and b in this one\n" in err


def test_a_project_is_called_by_letters_digits_and_few_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a b", "../x", "a, b", "", "x" * 61):
        assert run_command(monkeypatch, "tensorzero", "import", AGENTS, "--dry-run", "--project", name) == 2


def test_an_import_without_a_registry_ends_with_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(monkeypatch, "tensorzero", "import", AGENTS) == 3
    assert "No registry answers at http://127.0.0.1:8110" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("response", "code", "words"),
    [
        (problem(401, "E4010", detail="A key is needed."), 3, "A key is needed."),
        (problem(422, "E4007", detail="Bad.", reasons=[{"where": "t: a.b", "message": "is bad"}]), 1, "t: a.b: is bad"),
        (httpx.Response(502, text="<html>"), 3, "status 502, without a registry's error code"),
        (httpx.Response(200, text="<html>"), 3, "is it a model registry?"),
        (httpx.Response(200, json={"hello": 1}), 3, "is it a model registry?"),
    ],
)
def test_what_the_registry_says_decides_how_an_import_ends(  # noqa: PLR0913, PLR0917 (fixtures and the cases)
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    serve: Serve,
    response: httpx.Response,
    code: int,
    words: str,
) -> None:
    serve(lambda _: response)
    assert run_command(monkeypatch, "tensorzero", "import", AGENTS) == code
    assert words in capsys.readouterr().err


def test_the_choices_in_a_problem_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], serve: Serve
) -> None:
    choices = {
        "matches": [{"id": "m-1", "label": "qwen at lab"}],
        "referrers": ["alias best", "mapping svc/chat"],
        "allowed": ["active", "drai\x1bning"],
        "newest": 9,
    }
    serve(lambda _: problem(409, "E4090", detail="It is used by alias best.", **choices))
    assert run_command(monkeypatch, "tensorzero", "import", AGENTS) == 1
    err = capsys.readouterr().err
    assert "  matches: qwen at lab (m-1)\n" in err
    assert "  referrers: alias best, mapping svc/chat\n" in err
    assert "  allowed: active, drai\\x1bning\n" in err
    assert "  newest: 9\n" in err


@pytest.mark.parametrize("choices", [{"matches": "odd"}, {"allowed": {"a": 1}}, {"referrers": None}, {"matches": [7]}])
def test_odd_choices_do_not_hide_the_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], serve: Serve, choices: dict[str, Any]
) -> None:
    serve(lambda _: problem(409, "E4090", detail="It is used.", **choices))
    assert run_command(monkeypatch, "tensorzero", "import", AGENTS) == 1
    assert "error: It is used." in capsys.readouterr().err


BUNDLE = archive({"tensorzero.toml": b"# all\n"})


@pytest.mark.parametrize(
    "command",
    [
        ("tensorzero", "sync", "--once", "--out"),
        ("tensorzero", "export"),
        ("catalog", "export"),
        ("knowledge", "export", "csv", "-o"),
    ],
    ids=" ".join,
)
def test_a_place_that_cannot_be_written_is_named_as_such(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    serve: Serve,
    tmp_path: Path,
    command: tuple[str, ...],
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/bundle"):
            return httpx.Response(200, content=BUNDLE, headers={"ETag": '"a"'})
        return httpx.Response(200, json={"models": [], "items": []})

    serve(answer)
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "below"
    assert run_command(monkeypatch, *command, str(place)) == 3
    err = capsys.readouterr().err
    assert f"error: {place}" in err
    assert "cannot be used: Not a directory" in err
    assert "accepted" not in err


def test_a_broken_project_is_refused_before_anybody_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], serve: Serve, tmp_path: Path
) -> None:
    serve(lambda _: pytest.fail("asked"))
    (tmp_path / "tensorzero.toml").write_text("[models.m]\nrouting = []\n[functions.f]\n", "utf-8")
    for more in ([], ["--dry-run"]):
        assert run_command(monkeypatch, "tensorzero", "import", str(tmp_path), *more) == 1
        err = capsys.readouterr().err
        assert "tensorzero.toml: models.m.routing" in err or "tensorzero.toml: models.m:" in err
        assert "tensorzero.toml: functions.f" in err


def test_a_wrong_call_ends_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_command(monkeypatch, "tensorzero", "import") == 2
    assert run_command(monkeypatch, "tensorzero", "import", AGENTS, "--nonsense") == 2


def test_render_prints_the_configuration_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes], serve: Serve
) -> None:
    serve(lambda request: httpx.Response(200, content=f"# {request.url.path} ü".encode()))
    assert run_command(monkeypatch, "tensorzero", "render") == 0
    assert capsysbinary.readouterr().out == "# /api/tensorzero/config ü".encode()


def test_the_script_is_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(monkeypatch, "tensorzero", "import", AGENTS, "--dry-run") == 0
    by_command = capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["migrate_tensorzero.py", "--config-path", AGENTS, "--dry-run"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "scripts" / "migrate_tensorzero.py"), run_name="__main__")
    assert not end.value.code
    assert capsys.readouterr().out == by_command


def test_the_script_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def ended() -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["migrate_tensorzero.py", "--dry-run"])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(ROOT / "scripts" / "migrate_tensorzero.py"), run_name="__main__")
        return int(end.value.code or 0), capsys.readouterr().err

    monkeypatch.chdir(tmp_path)
    code, message = ended()
    assert (code, "no tensorzero.toml at pmoves/tensorzero/config" in message) == (2, True)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "tensorzero.toml").write_text("")
    code, message = ended()
    assert (code, "Importing config/tensorzero.toml" in message) == (0, True)
    monkeypatch.setenv("SUPABASE_URL", "http://127.0.0.1:9")
    code, message = ended()
    assert (code, "SUPABASE_SERVICE_KEY" in message) == (2, True)


def test_names_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(Outcome([ReportEntry("created", "model", "a\x1b[2J", "b\nc")], dry_run=True, against="x"))
    assert "a\\x1b[2J  b\\nc" in capsys.readouterr().out


def kinds(kind: type[RegistryError]) -> Iterator[type[RegistryError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from kinds(child)


def test_every_error_has_an_exit_code_that_is_not_typers_own() -> None:
    assert {exit_code(kind("message")) for kind in kinds(RegistryError)} == {1, 3, 5}
    assert EXIT_CODES.keys() <= set(kinds(RegistryError))
