"""The structure of the code: no import cycle, no long file and no long function."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from support.paths import ROOT

SERVICE = ROOT / "service"
SOURCES = {path: ast.parse(path.read_text()) for path in sorted(SERVICE.rglob("*.py"))}


def module_of(path: Path) -> str:
    """The dotted name that imports this file."""
    return ".".join(path.relative_to(SERVICE).with_suffix("").parts).removesuffix(".__init__")


MOST_LINES_OF_A_FILE = 300
MOST_LINES_OF_A_FUNCTION = 40
LONG_FUNCTIONS = {
    "model_registry/client/operations.py list_models": "a typed parameter a filter, each passed on",
}
"""Functions that may be longer, and why."""

MODULES = {module_of(path): tree for path, tree in SOURCES.items()}


def imported_by(tree: ast.Module) -> set[str]:
    """Our modules that a module names in an import, wherever it stands: in a function, or for type checking only."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            package = node.module or ""
            submodules = {f"{package}.{alias.name}" for alias in node.names}
            names |= {name if name in MODULES else package for name in submodules}
    return names & MODULES.keys()


def cycle_of(graph: dict[str, set[str]]) -> list[str]:
    """The modules of one cycle in the order of their imports, or none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def test_a_cycle_is_found() -> None:
    assert set(cycle_of({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}


def test_type_checking_imports_and_imports_in_functions_count() -> None:
    assert "model_registry.api.check_slots" in imported_by(MODULES["model_registry.api.app_state"])
    assert "model_registry.app" in imported_by(MODULES["model_registry.cli.serve"])


def test_no_import_cycle() -> None:
    graph = {name: imported_by(tree) - {name} for name, tree in MODULES.items()}

    assert sum(map(len, graph.values())) > 500
    assert cycle_of(graph) == []


def test_no_file_is_too_long() -> None:
    lengths = {path.relative_to(SERVICE).as_posix(): len(path.read_text().splitlines()) for path in SOURCES}

    assert {name: length for name, length in lengths.items() if length > MOST_LINES_OF_A_FILE} == {}


def test_no_function_is_too_long() -> None:
    lengths = [
        (f"{path.relative_to(SERVICE).as_posix()} {node.name}", (node.end_lineno or 0) - node.lineno + 1)
        for path, tree in SOURCES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    too_long = {name for name, length in lengths if length > MOST_LINES_OF_A_FUNCTION}

    assert len(lengths) > 1000
    assert too_long == LONG_FUNCTIONS.keys()
