"""The documentation is true: what can be compared with the code is compared."""

from __future__ import annotations

import ast
import importlib
import re
import sys
import tomllib
from pathlib import Path

import pytest

from support.paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())

    broken = [link for link in links if not (page.parent / link).exists()]

    assert broken == []


def test_the_reference_says_what_the_code_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.setattr(sys, "argv", ["write_reference.py", "--check"])
    outcome = importlib.import_module("write_reference").main()

    assert outcome == 0, capsys.readouterr().out


def test_the_diagram_of_the_layers_is_the_one_that_is_checked() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    exists = {path.stem for path in (ROOT / "service/model_registry").iterdir()}
    checked = [[name for name in re.findall(r"\w+", layer) if name in exists] for layer in contract["layers"]]
    blocks = re.findall(r"```\n(cli\n.*?)```", (ROOT / "docs/architecture.md").read_text(), re.DOTALL)

    drawn = [line.split() for line in blocks[0].splitlines()]

    assert drawn == checked


def test_every_file_that_the_architecture_page_names_is_there() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    package = ROOT / "service/model_registry"
    folders = (package, ROOT, *(path for path in package.rglob("*") if path.is_dir()))

    named = re.findall(r"`([\w/]+\.(?:py|sql))`", page)
    missing = [name for name in named if not any((folder / name).is_file() for folder in folders)]
    section = page[page.index("## Main flows") : page.index("## How the parts work")]
    flows = [re.findall(r"`([\w/]+\.py)`", flow) for flow in section.split("\n\n**")[1:]]

    assert missing == []
    assert min(len(flow) for flow in flows) >= 2
    assert [name for flow in flows for name in flow if not (package / name).is_file()] == []


def test_the_readme_names_only_commands_that_make_knows() -> None:
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"\$ make (\w+)", "".join(page.read_text() for page in PAGES))

    assert named
    assert set(named) <= set(targets)


def test_every_row_of_the_threat_table_names_a_test_that_exists() -> None:
    page = (ROOT / "docs/security.md").read_text()
    table = page[page.index("| threat | protected how | test |") :].split("\n\n")[0].splitlines()[2:]
    named = {row: re.search(r"\| `([\w/.]+)::(\w+)` \|$", row) for row in table}

    missing = [row for row, test in named.items() if test is None or test[2] not in _functions(ROOT / test[1])]

    assert len(named) > 20
    assert missing == []


def _functions(file: Path) -> set[str]:
    """The functions of a module, read and not imported; none where there is no such file."""
    tree = ast.parse(file.read_text() if file.is_file() else "")
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_what_tests_share_is_in_its_index() -> None:
    support = ROOT / "tests" / "support"
    rows = [line for line in (support / "README.md").read_text().splitlines() if line.startswith("|")]
    indexed = re.findall(r"`([\w/]+\.py)`", "".join(rows))

    files = [path for path in support.rglob("*.py") if path.name != "__init__.py"]
    assert sorted(indexed) == sorted(path.relative_to(support).as_posix() for path in files)
