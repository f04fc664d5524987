"""Parses TOML texts into a `Project`: converted to JSON, merged as the gateway merges them, and checked. Pure.

The rules of a configuration are in `rules/`; `project_files.py` reads the disk.
"""

from __future__ import annotations

import copy
import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime, time

import tomli

from model_registry.entities.base import json_problem
from model_registry.entities.json_types import Toml
from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import (
    Path,
    Problems,
    Project,
    Table,
    as_text,
    depth_of,
    dotted,
    refuse,
    undotted,
)
from model_registry.gateways.tensorzero.reading.file_references import configurations, file_references, resolve
from model_registry.gateways.tensorzero.reading.upgrade import INCLUDES, upgraded
from model_registry.gateways.tensorzero.rules import check_configuration
from model_registry.gateways.tensorzero.rules.deprecated import Rewrite, modernised

_LARGE = 100_000
"""Characters; tomli takes some 20 ms for them."""


def parse_project(
    files: Mapping[str, str], configuration: Iterable[str] | None = None, *, upgrade: bool = False
) -> Project:
    """Parse a project from its TOML texts and the referenced files.

    Args:
        files: path from the project's root -> text.
        configuration: the files that are the configuration; by default all TOML files that look like one.
        upgrade: rewrite old syntax that today's gateway refuses.

    Raises:
        InvalidConfiguration: with every problem found, each with its file, its key and the reason.
    """
    trees, changes = _configurations(files, configuration, upgrade=upgrade)
    others = {name: text for name, text in files.items() if name not in trees}
    references = resolve(trees, others, only_included=INCLUDES in changes)
    tree, upgrades = modernised(_merged(trees))
    rewritten = (*references.rewritten, *upgrades)
    project = Project(
        texts=dict(files), trees=trees, tree=tree, files=references.files, rewritten=rewritten, upgraded=tuple(changes)
    )
    problems = Problems(project)
    for reason in check_configuration(tree):
        problems.add(undotted(reason.where), reason.message)
    problems.reasons += references.reasons
    _check_references(project, problems)
    old = upgraded(copy.deepcopy(trees)) if problems.reasons and not upgrade else []
    hint = f"; {len(old)} of its keys are old syntax: import it with --upgrade (over HTTP upgrade=true)"
    problems.stop_if_any(hint if old else "")
    return project


def unchecked_project(files: Mapping[str, str]) -> Project:
    """Parse only the TOML, without checking keys and referenced files.

    Raises:
        InvalidConfiguration: a text is no TOML, or two of them set the same key.
    """
    trees, _ = _configurations(files, None)
    return Project(texts=dict(files), trees=trees, tree=_merged(trees))


def _configurations(
    files: Mapping[str, str], configuration: Iterable[str] | None, *, upgrade: bool = False
) -> tuple[dict[str, Table], list[Rewrite]]:
    """Return the tables of the files that are the configuration, and the upgrades of old syntax in them."""
    if configuration is not None:
        trees = _trees(_named(files, configuration))
        return trees, upgraded(trees) if upgrade else []
    if not files:
        refuse([Reason("", "there is no TOML file in it")])
    # Names without a suffix come from callers that send one text and no files.
    named = {name: text for name, text in files.items() if name.endswith(".toml")} or files
    trees = _trees(named)
    changes = upgraded(trees) if upgrade else []
    trees = configurations(trees)
    refuse([Reason("", "none of its TOML files is a configuration")] if not trees else [])
    return trees, changes


def _named(files: Mapping[str, str], configuration: Iterable[str]) -> dict[str, str]:
    names = list(dict.fromkeys(configuration))
    refuse(
        [
            Reason(name, "is named as the configuration, and is not among the files")
            for name in names
            if name not in files
        ]
    )
    refuse([] if names else [Reason("", "none of its files is named as the configuration")])
    return {name: files[name] for name in names}


def _trees(files: Mapping[str, str]) -> dict[str, Table]:
    trees: dict[str, Table] = {}
    reasons: list[Reason] = []
    for name, text in files.items():
        try:
            # Editors on Windows begin a file with a byte order mark, which the gateway accepts.
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
    """Parse a text. Large ones with the slower parser: tomli is compiled, and blocks all other threads meanwhile.

    Errors: tomli.TOMLDecodeError.
    """
    if len(text) > _LARGE:
        with suppress(tomllib.TOMLDecodeError):  # tomli's error has the position
            return tomllib.loads(text)
    return tomli.loads(text)


def _near(error: tomli.TOMLDecodeError) -> str:
    """Name the key of the line where parsing stopped, without its value, which may be a secret."""
    lines = error.doc[: error.pos + 1].splitlines() or [""]
    key = lines[-1].partition("=")[0].strip()
    return f", near {key!r}" if key else ""


def _json(value: Toml, path: Path, file: str, reasons: list[Reason]) -> Toml:
    """Convert a value to JSON, and collect what JSON cannot hold."""
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
    """Merge the tables; refuse any other key that is set twice, even to the same value."""
    merged: Table = {}
    reasons: list[Reason] = []
    seen: dict[str, Table] = {}
    for name, tree in trees.items():
        for path in _merge(merged, tree, ()):
            other = next(
                (file for file, earlier in seen.items() if depth_of(earlier, path) == len(path)), "another file"
            )
            reasons.append(Reason(f"{name}: {dotted(path)}", f"is set in {other} already"))
        seen[name] = tree
    refuse(reasons)
    return merged


def _merge(target: Table, source: Table, path: Path) -> Iterator[Path]:
    """Merge into the target; yield the keys that it has already."""
    for key, value in source.items():
        if key not in target:
            target[key] = _copy(value)
        elif isinstance(target[key], dict) and isinstance(value, dict):
            yield from _merge(target[key], value, (*path, key))
        else:
            yield (*path, key)


def _copy(value: Toml) -> Toml:
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, dict) else value


def _check_references(project: Project, problems: Problems) -> None:
    known = {reason.where for reason in problems.reasons}
    for path, value in file_references(project.tree):
        if not (isinstance(value, str) and value) and project.locate(path) not in known:
            problems.add(path, "must be the path of a file, as a string")
