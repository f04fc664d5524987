"""Every console block of README and the how-tos runs as printed, on a fresh clone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.children.newcomers_machine import ELSEWHERE, commands
from support.paths import ROOT
from support.waiting import LONGEST

pytestmark = pytest.mark.long

PAGES = [
    str(page.relative_to(ROOT))
    for page in [ROOT / "README.md", *sorted(ROOT.glob("docs/how-to/*.md"))]
    if commands(page.read_text())
]
_SECONDS = 8 * LONGEST
"""For all pages; pytest ends a test after 600 s."""


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[str, dict[str, Any]]]:
    """What each page did, in a clone that has this working tree's files and this environment."""
    if subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not make a network of its own, in which port 8110 is free: run as root")
    with tempfile.TemporaryDirectory(prefix="clone-") as directory:
        clone = Path(directory)
        clone.chmod(0o755)  # Postgres runs as another user
        _copy_to(clone)
        program = [sys.executable, "-m", "support.children.newcomers_machine", str(clone), *PAGES]
        done = subprocess.run(
            ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", *program],
            env={**os.environ, "PYTHONPATH": str(ROOT / "tests"), "NO_COLOR": "1"},
            capture_output=True, text=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        yield {outcome["page"]: outcome for outcome in map(json.loads, done.stdout.splitlines())}


def _copy_to(clone: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    (clone / ".venv").symlink_to(ROOT / ".venv")
    (ROOT / ".venv" / ".made").touch()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_as_printed(outcomes: dict[str, dict[str, Any]], page: str) -> None:
    assert outcomes[page]["status"] == 0, outcomes[page]["output"]


def test_what_is_not_run_is_on_some_page() -> None:
    printed = [command for page in PAGES for command in commands((ROOT / page).read_text())]
    assert [start for start in ELSEWHERE if not any(command.startswith(start) for command in printed)] == []


def test_a_command_goes_on_until_its_quotes_are_closed() -> None:
    page = '```console\n$ curl x -d \'{\n  "a": 1\n}\'\n{"b": 2}\n$ echo \\\n  two\n```\n```sh\n$ no\n```\n'
    assert commands(page) == ["curl x -d '{\n  \"a\": 1\n}'", "echo \\\n  two"]
