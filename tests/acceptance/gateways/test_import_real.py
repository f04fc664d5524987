"""Real TensorZero projects, imported by the real command and the real script into a running service."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from model_registry.gateways.tensorzero.validation.gateway_process import GatewayProcess
from support import paths
from support.paths import ROOT
from support.processes import Service, run, surroundings
from support.waiting import LONGEST

FIXTURES = paths.FIXTURES / "tensorzero"
SCRIPT = ROOT / "scripts" / "migrate_tensorzero.py"
NOBODY = {"MODEL_REGISTRY_URL": "http://127.0.0.1:9"}

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def gateway_process() -> Iterator[GatewayProcess]:
    with GatewayProcess() as gateway_process:
        yield gateway_process


@pytest.fixture
def registry(service: Service) -> dict[str, str]:
    """The URL and key of the service, as in a shell that has read `stack.env`."""
    key = service.client.headers["Authorization"].removeprefix("Bearer ")
    return {"MODEL_REGISTRY_URL": service.url, "MODEL_REGISTRY_API_KEY": key}


def command(project: Path, *options: str, environment: dict[str, str]) -> Done:
    return run("tensorzero", "import", str(project), *options, environment=environment)


def script(project: Path, *options: str, environment: dict[str, str]) -> Done:
    argv = [sys.executable, str(SCRIPT), "--config-path", str(project), *options]
    return subprocess.run(
        argv, env=surroundings(environment), capture_output=True, text=True, timeout=LONGEST, check=False
    )


DOORS = pytest.mark.parametrize("door", [command, script])
Door = Callable[..., Done]


def revision(service: Service) -> int:
    return int(service.client.get("/readyz", headers={"Cache-Control": "no-cache"}).json()["revision"])


@DOORS
def test_a_dry_run_needs_neither_a_key_nor_a_server(door: Door) -> None:
    done = door(FIXTURES / "agents" / "tensorzero.toml", "--dry-run", environment=NOBODY)
    assert done.returncode == 0, done.stderr
    assert "Would be created" in done.stdout
    assert "Nothing was written" in done.stdout
    source = tomllib.loads((FIXTURES / "agents" / "tensorzero.toml").read_text())
    assert [name for name in (*source["models"], *source["functions"]) if name not in done.stdout] == []


def test_a_dry_run_against_a_service_needs_a_key_and_writes_nothing(service: Service, registry: dict[str, str]) -> None:
    before = revision(service)
    done = command(FIXTURES / "agents", "--dry-run", environment=registry)
    assert done.returncode == 0, done.stderr
    assert service.url in done.stdout
    alone = command(FIXTURES / "agents", "--dry-run", environment={**registry, "MODEL_REGISTRY_API_KEY": ""})
    assert alone.returncode == 0, alone.stderr
    assert "an empty registry: An API key is required" in alone.stdout
    assert revision(service) == before


# Projects with files are loaded in the gateway as whole bundles, in test_whole_projects.py.
ALONE = sorted(p.name for p in FIXTURES.iterdir() if all(f.suffix == ".toml" for f in p.rglob("*") if f.is_file()))


@pytest.mark.parametrize("name", ALONE)
def test_a_project_comes_in_whole_and_a_second_time_changes_nothing(
    service: Service, registry: dict[str, str], gateway_process: GatewayProcess, name: str
) -> None:
    done = command(FIXTURES / name, environment=registry)
    assert done.returncode == 0, done.stderr
    first, config = revision(service), service.config()
    answer = gateway_process.validate(config)
    assert answer.accepted, answer.message
    assert set(variants_of(FIXTURES / name)) <= set(variants(tomllib.loads(config)))

    again = script(FIXTURES / name, environment=registry)
    assert again.returncode == 0, again.stderr
    assert re.search(rf"^0 created, 0 changed, \d+ unchanged, revision {first}$", again.stdout, re.MULTILINE)
    assert (revision(service), service.config()) == (first, config)


def variants_of(project: Path) -> Iterator[tuple[str, str]]:
    for file in project.rglob("*.toml"):
        yield from variants(tomllib.loads(file.read_text()))


def variants(tree: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for function, table in tree.get("functions", {}).items():
        for variant in table.get("variants", {}):
            yield function, variant


def test_models_keep_their_own_providers_base_urls_and_credentials(service: Service, registry: dict[str, str]) -> None:
    source = tomllib.loads((FIXTURES / "agents" / "tensorzero.toml").read_text())
    assert command(FIXTURES / "agents", environment=registry).returncode == 0
    rendered = tomllib.loads(service.config())
    for section in ("models", "embedding_models"):
        for model, table in source[section].items():
            assert rendered[section][model]["routing"] == table["routing"]
            for key, provider in table["providers"].items():
                # A credential that the project leaves to the gateway's default is named by the registry.
                assert provider.items() <= rendered[section][model]["providers"][key].items()


def test_an_edited_project_changes_what_was_edited_and_nothing_else(
    service: Service, registry: dict[str, str], tmp_path: Path
) -> None:
    project = Path(shutil.copytree(FIXTURES / "agents", tmp_path / "agents"))
    assert command(project, environment=registry).returncode == 0
    before = tomllib.loads(service.config())
    file = project / "tensorzero.toml"
    model = next(iter(before["models"]))
    provider = next(iter(before["models"][model]["providers"].values()))
    file.write_text(file.read_text().replace(provider["api_base"], "http://moved.example:8080/v1"))
    done = command(project, environment=registry)
    assert "0 created" in done.stdout
    after = service.config()
    assert provider["api_base"] not in after
    moved = after.replace("http://moved.example:8080/v1", provider["api_base"])
    assert tomllib.loads(moved) == before


BROKEN = {
    "not TOML": ("[models.m\n", ["models.toml", "line 1"]),
    "unknown provider in routing": (
        '[models.m]\nrouting = ["nobody"]\n[models.m.providers.p]\ntype = "openai"\nmodel_name = "x"\n',
        ["models.toml: models.m.routing", "nobody"],
    ),
    "a base URL that is none": (
        '[models.m]\nrouting = ["p"]\n[models.m.providers.p]\ntype = "vllm"\napi_base = "rack:8000"\n',
        ["models.toml: models.m.providers.p.api_base", "http"],
    ),
    "a variant without its model": (
        '[functions.f]\ntype = "chat"\n[functions.f.variants.v]\ntype = "chat_completion"\nmodel = "gone"\n',
        ["models.toml: functions.f.variants.v.model", "gone"],
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_refused_by_file_key_and_reason_and_nothing_is_written(
    service: Service, registry: dict[str, str], tmp_path: Path, what: str
) -> None:
    content, words = BROKEN[what]
    (tmp_path / "good.toml").write_text((FIXTURES / "agents" / "tensorzero.toml").read_text())
    (tmp_path / "models.toml").write_text(content)
    before = revision(service)
    door = script if what == "not TOML" else command
    done = door(tmp_path, environment=registry)
    assert done.returncode == 1
    assert [word for word in words if word not in done.stderr] == [], done.stderr
    assert "Traceback" not in done.stderr
    assert revision(service) == before
    assert service.client.get("/api/models").json()["count"] == 0


@pytest.mark.parametrize("key", ["", "a key that nobody has given out"])
def test_without_a_valid_key_nothing_is_written_and_the_message_says_so(
    service: Service, registry: dict[str, str], key: str
) -> None:
    before = revision(service)
    done = command(FIXTURES / "agents", environment={**registry, "MODEL_REGISTRY_API_KEY": key})
    assert done.returncode == 3
    assert "key" in done.stderr
    assert revision(service) == before


def test_no_service_is_one_clear_message() -> None:
    done = command(FIXTURES / "agents", environment=NOBODY)
    assert done.returncode == 3
    assert "http://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr
