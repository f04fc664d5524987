"""TOML texts to a `Project`: read, made JSON, merged as the gateway merges them, checked. Pure.

The rules of a configuration are in `check/`; `project_files.py` reads the disk.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime, time
from typing import Any

import tomli

from model_registry.entities.base import json_problem
from model_registry.errors import Reason
from model_registry.gateways.tensorzero.datetimes import as_text
from model_registry.gateways.tensorzero.project import Path, Problems, Project, Table, dotted, refuse, undotted
from model_registry.gateways.tensorzero.reading.file_keys import file_references
from model_registry.gateways.tensorzero.reading.project_references import configurations, resolve
from model_registry.gateways.tensorzero.reading.upgrade_syntax import modernised
from model_registry.gateways.tensorzero.rules import check_configuration

_LARGE = 100_000
"""Characters, which take tomli some 20 ms."""


def parse_project(files: Mapping[str, str], configuration: Iterable[str] | None = None) -> Project:
    """Read a project from its TOML texts and the files they refer to.

    Args:
        files: path from the project's root -> text.
        configuration: which of them are the configuration; by default all TOML files that look like it.

    Raises:
        InvalidConfiguration: with every problem found, each with its file, its key and the reason.
    """
    trees = _configurations(files) if configuration is None else _trees(_named(files, configuration))
    found = resolve(trees, {name: text for name, text in files.items() if name not in trees})
    tree, said = modernised(_merged(trees))
    project = Project(texts=dict(files), trees=trees, tree=tree, files=found.files, said=(*found.said, *said))
    problems = Problems(project)
    for reason in check_configuration(tree):
        problems.add(undotted(reason.where), reason.message)
    problems.reasons += found.reasons
    _check_references(project, problems)
    problems.stop_if_any()
    return project


def unchecked_project(files: Mapping[str, str]) -> Project:
    """Only the TOML, as it is written: without a look at what the keys say, and at the files they name.

    Raises:
        InvalidConfiguration: a text is no TOML, or two of them set the same key.
    """
    trees = _configurations(files)
    return Project(texts=dict(files), trees=trees, tree=_merged(trees))


def _configurations(files: Mapping[str, str]) -> dict[str, Table]:
    if not files:
        refuse([Reason("", "there is no TOML file in it")])
    # Names without an ending come from callers that send one text and no files.
    named = {name: text for name, text in files.items() if name.endswith(".toml")} or files
    trees = configurations(_trees(named))
    refuse([Reason("", "none of its TOML files is a configuration")] if not trees else [])
    return trees


def _named(files: Mapping[str, str], configuration: Iterable[str]) -> dict[str, str]:
    names = list(dict.fromkeys(configuration))
    refuse(
        [
            Reason(name, "is said to be the configuration, and is not among the files")
            for name in names
            if name not in files
        ]
    )
    refuse([] if names else [Reason("", "none of its files is said to be the configuration")])
    return {name: files[name] for name in names}


def _trees(files: Mapping[str, str]) -> dict[str, Table]:
    trees: dict[str, Table] = {}
    reasons: list[Reason] = []
    for name, text in files.items():
        try:
            # Editors on Windows begin a file with a byte order mark, and the gateway does not mind.
            tree = _loaded(text.removeprefix("\ufeff"))
        except tomli.TOMLDecodeError as error:
            reasons.append(Reason(name, f"not valid TOML: {error}{_near(error)}"))
        except RecursionError:
            reasons.append(Reason(name, "is nested too deeply"))
        else:
            trees[name] = {key: _json(value, (key,), name, reasons) for key, value in tree.items()}
    refuse(reasons)
    return trees


def _loaded(text: str) -> Table:
    """A text as tables. A large one by the slower parser: tomli is compiled, and lets no other thread run meanwhile.

    Errors: tomli.TOMLDecodeError.
    """
    if len(text) > _LARGE:
        with suppress(tomllib.TOMLDecodeError):  # tomli's error says where
            return tomllib.loads(text)
    return tomli.loads(text)


def _near(error: tomli.TOMLDecodeError) -> str:
    """The key in whose line reading stopped; the value is left out, it may be a secret."""
    lines = error.doc[: error.pos + 1].splitlines() or [""]
    key = lines[-1].partition("=")[0].strip()
    return f", near {key!r}" if key else ""


def _json(value: Any, path: Path, file: str, reasons: list[Reason]) -> Any:  # noqa: ANN401 (any TOML value)
    """The value as JSON can hold it; notes what it cannot."""
    match value:
        case dict():
            return {key: _json(item, (*path, key), file, reasons) for key, item in value.items()}
        case list():
            return [_json(item, path, file, reasons) for item in value]
        case datetime() | date() | time():
            return as_text(value)
        case float() if not math.isfinite(value):
            reasons.append(Reason(f"{file}: {dotted(path)}", f"is {value}; the gateway refuses or ignores that"))
        case _ if problem := json_problem(value):
            reasons.append(Reason(f"{file}: {dotted(path)}", problem))
    return value


def _merged(trees: Mapping[str, Table]) -> Table:
    """Tables are merged; whatever else is set twice is refused, even to the same value."""
    merged: Table = {}
    reasons: list[Reason] = []
    seen: dict[str, Table] = {}
    for name, tree in trees.items():
        for path in _merge(merged, tree, ()):
            other = next((file for file, earlier in seen.items() if _has(earlier, path)), "another file")
            reasons.append(Reason(f"{name}: {dotted(path)}", f"is set in {other} already"))
        seen[name] = tree
    refuse(reasons)
    return merged


def _merge(target: Table, source: Table, path: Path) -> Iterator[Path]:
    """Merge into the target; tells which keys it has already."""
    for key, value in source.items():
        if key not in target:
            target[key] = _copy(value)
        elif isinstance(target[key], dict) and isinstance(value, dict):
            yield from _merge(target[key], value, (*path, key))
        else:
            yield (*path, key)


def _copy(value: Any) -> Any:  # noqa: ANN401 (any TOML value)
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, dict) else value


def _has(tree: Table, path: Path) -> bool:
    here: Any = tree
    for key in path:
        if not isinstance(here, dict) or key not in here:
            return False
        here = here[key]
    return True


def _check_references(project: Project, problems: Problems) -> None:
    known = {reason.where for reason in problems.reasons}
    for path, value in file_references(project.tree):
        if not (isinstance(value, str) and value) and project.place(path) not in known:
            problems.add(path, "must be the path of a file, as a string")
