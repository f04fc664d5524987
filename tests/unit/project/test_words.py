"""Words that docs/glossary.md retired stay out of service/ and docs/: names, file names and sentences."""

from __future__ import annotations

import ast
import re
from functools import cache
from itertools import dropwhile, takewhile
from pathlib import Path

import pytest

from support.paths import ROOT

GLOSSARY = ROOT / "docs" / "glossary.md"
SERVICE = ROOT / "service" / "model_registry"
KEPT = (
    r'"judge"',  # a key of GET /api/tensorzero/status
    r"(?<=`)judge(?=`)|registry\.judge\(",  # the same key, and the client's method, as the pages quote them
    r"`tests/[^`]+`",  # names of tests
    r"llm_judge",  # TensorZero's evaluators
)
"""Protocol words, as they are quoted."""
TENSORZERO = {"file_references.py", "variants.py"}
"""Where "judge" is TensorZero's own term."""


def rows(title: str) -> list[list[str]]:
    """The rows of the table below a line, as cells."""
    lines = iter(GLOSSARY.read_text().partition(f"{title}\n")[2].splitlines())
    table = takewhile(lambda line: line.startswith("|"), dropwhile(lambda line: not line.startswith("|"), lines))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in list(table)[2:]]


def retired(title: str) -> list[tuple[str, str]]:
    """Each word or name of a table, with what to use instead."""
    return [(word, row[1]) for row in rows(title) for word in re.findall(r"`([^`]+)`", row[0])]


WORDS = retired("## Retired words")
NAMES = retired("Retired names of files, packages, classes and functions:")
LEFT = [(re.findall(r"`([^`]+)`", row[0]), row[1], int(row[2])) for row in rows("## Being retired")]


@cache
def texts() -> dict[Path, str]:
    """Every file as words: lower case, names split, protocol words and line ends taken out."""
    paths = [*SERVICE.rglob("*.py"), *ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    return {path: _words(path) for path in paths if path != GLOSSARY}


def _words(path: Path) -> str:
    text = f"{path.stem} {path.read_text()}"
    for kept in KEPT:
        text = re.sub(kept, "", text)
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text).replace("_", " ")
    text = re.sub(r"\s+[#|]?\s*", " ", text).lower()
    return text.replace("judge", "") if path.name in TENSORZERO else text


def places(*words: str) -> list[str]:
    """Where any of the words stands, once for each time."""
    pattern = re.compile(rf"(?<![a-z])(?:{'|'.join(map(re.escape, words))})(?![a-z])")
    return [str(path.relative_to(ROOT)) for path, text in texts().items() for _ in pattern.findall(text)]


@pytest.mark.parametrize(("word", "instead"), WORDS)
def test_a_retired_word_is_nowhere(word: str, instead: str) -> None:
    assert places(word) == [], f"say: {instead}"


@pytest.mark.parametrize(("words", "instead", "most"), LEFT, ids=str)
def test_a_word_that_is_being_retired_gets_no_more_frequent(words: list[str], instead: str, most: int) -> None:
    assert len(places(*words)) <= most, f"say: {instead}. It is in {sorted(set(places(*words)))}"


@cache
def names() -> set[str]:
    """Files as `x.py`, packages as `x/`, classes and functions without their underscores."""
    found = set()
    for path in SERVICE.rglob("*.py"):
        found |= {path.name, f"{path.parent.name}/"}
        definitions = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        found |= {n.name.strip("_") for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, definitions)}
    return found


@pytest.mark.parametrize(("name", "instead"), NAMES)
def test_a_retired_name_is_not_given_again(name: str, instead: str) -> None:
    assert name not in names(), f"call it: {instead}"


def test_what_is_looked_for_is_found() -> None:
    assert len(texts()) > 200
    assert {"resources.py", "fleet/", "Resource", "find_model"} <= names()
    assert len(places("snapshot")) > 100
    assert len(WORDS) + len(NAMES) > 40
