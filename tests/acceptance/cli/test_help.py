"""The command line documents itself, also in the base installation without the server."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from model_registry import __version__
from model_registry.cli import app
from model_registry.cli.lazy_commands import LazyCommand
from support import paths
from support.processes import run, surroundings
from support.waiting import LONGEST

FIXTURES = paths.FIXTURES / "tensorzero"


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group, with its full name."""
    if isinstance(command, LazyCommand):
        command = command.load()
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from _commands(below, (*path, name))


COMMANDS = dict(_commands(typer.main.get_command(app)))
LEAVES = [path for path, command in COMMANDS.items() if not hasattr(command, "commands")]


def shown_help(*path: str) -> str:
    """The printed text without frames and line ends."""
    result = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "160", "TERM": "dumb"})
    assert result.exit_code == 0
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", result.output).split())


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: " ".join(path) or "model-registry")
def test_every_command_says_what_it_does_and_what_each_option_means(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    first = (command.help or "").strip().split("\n")[0]
    assert first.endswith(".")
    assert first in shown_help(*path).replace("  ", " ") or "`" in first
    unexplained = [parameter.name for parameter in command.params if not getattr(parameter, "help", None)]
    assert unexplained == []


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_shows_a_call_to_copy(path: tuple[str, ...]) -> None:
    assert f"model-registry {' '.join(path)}" in shown_help(*path).partition("Example:")[2]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ((), ["A registry of AI models", "up", "serve", "db", "keys", "tensorzero"]),
        (("up",), ["Ctrl-C", "stack.env", "this machine only", "default: 8110", "empty catalogue"]),
        (("serve",), ["POSTGREST_URL", "SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY"]),
        (("db", "migrate"), ["second run changes nothing", "AUTHENTICATOR_PASSWORD", "DATABASE_URL"]),
        (("keys", "create"), ["admin", "node", "read", "shown this once"]),
        (
            ("tensorzero", "import"),
            ["one transaction", "write nothing", "_REGISTRY_URL", "_REGISTRY_API_KEY"],
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_help_teaches_what_one_needs_to_know_first(path: tuple[str, ...], words: list[str]) -> None:
    found = shown_help(*path)
    assert [word for word in words if word not in found] == []


def test_the_installed_command_prints_its_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"{__version__}\n")


def test_a_command_that_does_not_exist_is_a_wrong_call() -> None:
    done = run("fly")
    assert done.returncode == 2
    assert "No such command 'fly'" in done.stderr


def test_what_comes_from_elsewhere_cannot_steer_the_terminal() -> None:
    done = run("tensorzero", "render", "--registry", "http://127.0.0.1:9/\x1b[31m\nfake")
    assert done.returncode == 3
    assert "\x1b" not in done.stderr


_WITHOUT = """
import sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None  # as if it were not installed
sys.argv[1:] = sys.argv[2:]
from model_registry.cli import main
main()
"""


def _modules_of_extras() -> set[str]:
    """Names of the modules that only the extras install."""
    base: set[str] = set()
    extra: set[str] = set()
    for requirement in requires("pmoves-model-registry") or []:
        name = re.split(r"[^A-Za-z0-9._-]", requirement)[0]
        (extra if "extra ==" in requirement else base).add(_normal(name))
    return {
        module
        for module, distributions in packages_distributions().items()
        for distribution in distributions
        if _normal(distribution) in extra - base
    }


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--help"], 0, "tensorzero"),
        (["tensorzero", "import", str(FIXTURES / "agents"), "--dry-run"], 0, "Would be created"),
        (["keys", "list"], 3, "pip install 'pmoves-model-registry[server]'"),
        (["up"], 3, "[stack]"),
        (["node", "run", "--node-id", "a", "--ollama", "127.0.0.1:9", "--once"], 3, "cannot connect"),
        (["node", "run", "--node-id", "a", "--ollama", "127.0.0.1:9", "--nats", "b"], 3, "[nats]"),
    ],
    ids=["help", "dry run", "keys", "up", "node", "node with nats"],
)
def test_the_base_installation_does_what_needs_no_server(arguments: list[str], code: int, words: str) -> None:
    absent = _modules_of_extras()
    assert {"fastapi", "uvicorn", "psycopg", "nats", "orjson", "structlog", "tensorzero"} <= absent
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT, ",".join(sorted(absent)), *arguments],
        env=surroundings({"MODEL_REGISTRY_URL": "http://127.0.0.1:9"}),
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


_CLIENT = """
import sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None
from model_registry.client import AsyncClient, Client, ModelRegistry
from model_registry.client.compat.garden import GardenRegistry
registry = ModelRegistry()
registry.load_default_models()
print(len(registry.list_models()), len(GardenRegistry(sys.argv[2]).get_all_models()))
server = "api app background catalog fleet garden gateways imports selection settings snapshot store".split()
print([name for name in sys.modules if name.startswith(tuple(f"model_registry.{part}" for part in server))])
"""


def test_the_python_client_needs_no_server() -> None:
    document = FIXTURES.parent / "models_registry.json"
    absent = ",".join(sorted(_modules_of_extras()))
    done = subprocess.run(
        [sys.executable, "-c", _CLIENT, absent, str(document)],
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "3 7\n[]\n"), done.stderr
