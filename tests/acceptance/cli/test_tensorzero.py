"""`model-registry tensorzero import`, `export`, `render` and `status` say what gateways get, with the real gateway."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from model_registry.cli import main
from support.processes import Service, StartService, wait_until

STATUS = "/api/tensorzero/status"
MODEL = '[models.m]\nrouting = ["p"]\n[models.m.providers.p]\ntype = "openai"\nmodel_name = "x"\n'
FUNCTION = '[functions.{0}]\ntype = "chat"\n[functions.{0}.variants.v]\ntype = "chat_completion"\nmodel = "m"\n{1}\n'


@dataclass(frozen=True)
class Ended:
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process: a process for each would take most of the time."""

    def run(service: Service, *arguments: str | Path) -> Ended:
        monkeypatch.setenv("MODEL_REGISTRY_API_KEY", service.client.headers["authorization"].removeprefix("Bearer "))
        monkeypatch.setenv("MODEL_REGISTRY_URL", service.url)
        monkeypatch.setattr(sys, "argv", ["model-registry", "tensorzero", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return Ended(int(end.value.code or 0), *capsys.readouterr())

    return run


def project(directory: Path, name: str, *, broken: bool) -> Path:
    """A project whose template only the gateway reads."""
    directory.mkdir()
    (directory / f"{name}.minijinja").write_text("{% if" if broken else "fine")
    toml = MODEL + FUNCTION.format(name, f'system_template = "{name}.minijinja"') + FUNCTION.format("sound", "")
    (directory / "tensorzero.toml").write_text(toml)
    return directory


@pytest.mark.parametrize("publish", ["partial", "strict"])
def test_every_command_says_what_gateways_get(
    start_service: StartService, run: Run, tmp_path: Path, publish: str
) -> None:
    service = start_service(MODEL_REGISTRY_CHECK_WITH_GATEWAY="true", MODEL_REGISTRY_PUBLISH=publish)
    fine = run(service, "import", project(tmp_path / "fine", "fine", broken=False))
    bad = run(service, "import", project(tmp_path / "bad", "bad", broken=True))
    again = run(service, "import", tmp_path / "bad")
    other = run(service, "import", tmp_path / "fine")
    unwaited = run(service, "import", tmp_path / "bad", "--wait", "0")
    wait_until(lambda: not service.client.get(STATUS).json()["pending"])
    rendered, latest = run(service, "render"), run(service, "render", "--latest")
    exported, newest = run(service, "export", tmp_path / "out"), run(service, "export", tmp_path / "new", "--latest")
    status = run(service, "status")
    now = service.client.get(STATUS).json()
    checked = run(service, "check", "--url", service.url)

    assert fine.returncode == 0, fine.stderr
    for answer in (bad, again):
        assert answer.returncode == 5
        assert "error: not served: " in answer.stderr
        assert "bad.minijinja" in answer.stderr
    assert (other.returncode, unwaited.returncode) == (0 if publish == "partial" else 5, 0)
    assert "[functions.bad]" not in rendered.stdout
    assert "[functions.bad]" in latest.stdout
    assert f"Revision {now['newest_revision']}: the newest" in latest.stderr
    served = (tmp_path / "out" / "tensorzero.toml").read_text()
    assert served == rendered.stdout
    assert (tmp_path / "new" / "tensorzero.toml").read_text() == latest.stdout
    for answer in (rendered, exported):
        assert answer.returncode == (0 if publish == "partial" else 5)
        assert "bad.minijinja" in answer.stderr
        assert f"Revision {now['served']['revision']}" in answer.stderr
    assert (latest.returncode, newest.returncode, status.returncode) == (0, 0, 5)
    assert "bad.minijinja" in status.stderr
    assert checked.returncode == 1
    assert ("Left out of what gateways get (1)\n  mapping tensorzero/bad/v\n" in checked.stdout) == (
        publish == "partial"
    )
    if publish == "strict":
        assert f"refuses revision {now['newest_revision']}" in exported.stderr
        return
    assert "[functions.sound" in served
    (tmp_path / "bad" / "bad.minijinja").write_text("mended")
    mended = run(service, "import", tmp_path / "bad")
    assert (mended.returncode, run(service, "status").returncode) == (0, 0), mended.stderr
    assert "[functions.bad]" in run(service, "render").stdout
