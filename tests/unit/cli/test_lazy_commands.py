"""The command line starts quickly: it imports a command when it is used, and lists what each does without it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import typer

from model_registry.cli import app
from support.processes import surroundings

_ROOT: Any = typer.main.get_command(app)
_HEAVY = ("asyncio", "fastapi", "httpx", "markdown_it", "nats", "psycopg", "pydantic", "rich", "structlog", "yaml")
_OWN = ("api", "client.rows", "entities.base", "entities.model", "gateways", "settings", "snapshot", "store")

_IMPORTED = """
import json, sys
from model_registry.cli import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def _imported(*arguments: str, **variables: str) -> set[str]:
    """The modules that a call has imported when it ends, whose names begin with those that cost much."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED, *arguments],
        env=surroundings(variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    heavy = (*_HEAVY, *(f"model_registry.{package}" for package in _OWN))
    modules = json.loads(done.stderr.splitlines()[-1])
    assert "model_registry.cli" in modules
    return {name for name in modules if name in heavy}


@pytest.mark.parametrize("name", _ROOT.commands)
def test_the_line_in_the_list_of_commands_is_what_the_command_says_of_itself(name: str) -> None:
    listed = _ROOT.commands[name]
    assert listed.help == listed.load().help.split("\n\n")[0].replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["--version"], {}),
        (["--help"], {}),
        (["fly"], {}),
        (["history", "--help"], {}),
        (["gateways", "--help"], {}),
        (["db", "--help"], {}),
        ([], {"_C_COMPLETE": "complete_bash", "COMP_WORDS": "model-registry h", "COMP_CWORD": "1"}),
    ],
    ids=["version", "help", "typo", "help of a command", "of a group", "of a server's group", "completion"],
)
def test_what_asks_nobody_imports_nothing_large(arguments: list[str], variables: dict[str, str]) -> None:
    assert _imported(*arguments, **variables) == set()


def test_a_command_that_asks_a_registry_has_no_server_and_no_rows() -> None:
    found = _imported("history", "--registry", "http://127.0.0.1:9")
    assert {"httpx", "pydantic"} <= found
    assert not {name for name in found if name.startswith("model_registry.")} - {"model_registry.entities.base"}


def test_a_completion_below_a_group_imports_that_group_alone() -> None:
    words = {"_C_COMPLETE": "complete_bash", "COMP_WORDS": "model-registry db m", "COMP_CWORD": "2"}
    assert _imported(**words) == set()
