"""Stages a project's files in a directory, so that a gateway on this machine can validate them.

Sets aside and reports references to another machine, and parts that need a database. Validates nothing itself.

A closed set: names come from `file_names.normalised`, the schemas have no outside references, and every other key that
names something on a machine gets a stand-in here.
"""

from __future__ import annotations

import posixpath
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli
import tomli_w

from model_registry.gateways.tensorzero.project import Table, dotted, put
from model_registry.gateways.tensorzero.reading.file_references import Survey, file_references, is_schema, surveyed
from model_registry.gateways.tensorzero.validation.database_parts import needs_databases, without_databases
from model_registry.gateways.tensorzero.validation.dummy_credentials import (
    credential_variable,
    environment,
    is_reserved,
    stand_in,
)

_PROJECT = "project"
_PLACEHOLDERS = {"json": "{}", "text": ""}
_ELSEWHERE = "not checked, because it is on the gateway's machine: "
_RESERVED = "not checked, because the check itself depends on a variable of this name: "
_ASIDE = "PUT_ASIDE_"
_MAGIC = re.compile(r"[\[\]*?{},\\]")


@dataclass(frozen=True, slots=True)
class Staged:
    """A staged project: its path for the gateway, variables, and the parts set aside."""

    path: Path
    variables: dict[str, str]
    unasked: tuple[str, ...]
    by_rules: tuple[str, ...]
    """Keys of the parts that were made loadable without a database."""


@contextmanager
def staged(
    files: Mapping[str, bytes], configuration: Mapping[str, Survey], within: Path, *, trusted: bool, ours: bool = False
) -> Iterator[Staged]:
    """Stage a project, and delete it afterwards.

    Args:
        files: all files by normalised path.
        configuration: the surveys of the configuration's files.
        within: the directory that the gateway may read.
        trusted: whether referenced paths outside the project may be read on this machine.
        ours: whether the registry rendered the files. Other texts are serialised again from their parsed form, so that
            the gateway cannot parse them differently from us.
    """
    with tempfile.TemporaryDirectory(prefix="checked-", dir=within) as name:
        directory = Path(name)
        project = directory / _PROJECT
        project.mkdir()
        unasked: list[str] = []
        by_rules: list[str] = []
        texts: list[tuple[str, str]] = []
        for path, content in files.items():
            target = project / path
            target.parent.mkdir(parents=True, exist_ok=True)
            written = content
            if path in configuration:
                survey = configuration[path]
                # Serialising 10,000 models takes two seconds: only when something must be set aside.
                if _must_set_aside(survey, path, trusted=trusted) or not (ours or trusted):
                    tree = tomli.loads(content.decode("utf-8-sig"))  # a copy, as the survey's tree may be shared
                    others = [other.tree for name, other in configuration.items() if name != path]
                    by_rules += without_databases(tree, others)
                    unasked += [] if trusted else _put_aside(tree, path, directory)
                    survey, written = surveyed(tree), tomli_w.dumps(tree).encode()
                texts += survey.texts
            target.write_bytes(written)
        target_path = project / _glob(list(configuration))
        yield Staged(target_path, environment(texts), tuple(unasked), tuple(by_rules))


def _glob(names: list[str]) -> str:
    """Make a glob that matches these files and no others."""
    escaped = [_MAGIC.sub(r"[\g<0>]", name) for name in names]
    if escaped == names[:1]:
        return names[0]
    return "{" + ",".join(escaped) + "}"


def is_inside(path: str) -> bool:
    """Whether a relative path stays inside its directory."""
    normal = posixpath.normpath(path)
    return not posixpath.isabs(path) and normal not in (".", "..") and not normal.startswith("../")


def _must_set_aside(survey: Survey, path: str, *, trusted: bool) -> bool:
    if needs_databases(survey.tree):
        return True
    return not trusted and (
        any(_files_elsewhere(survey.references, path)) or any(_is_elsewhere(value) for _, value in survey.texts)
    )


def _put_aside(tree: Table, path: str, directory: Path) -> list[str]:
    unasked = []
    for key in list(_files_elsewhere(file_references(tree), path)):
        put(tree, key, _placeholder(directory, path, key))
        unasked.append(f"{_ELSEWHERE}{dotted(key)}")
    return [*unasked, *_credentials_aside(tree)]


def _files_elsewhere(references: Iterable[tuple[tuple[str, ...], Any]], path: str) -> Iterator[tuple[str, ...]]:
    for key, value in references:
        if isinstance(value, str) and not is_inside(posixpath.join(posixpath.dirname(path), value or "x")):
            yield key


def _is_elsewhere(value: str) -> bool:
    return value.startswith("path::") or _is_reserved(value)


def _is_reserved(value: str) -> bool:
    _, name = credential_variable(value)
    return bool(name) and is_reserved(name)


def _credentials_aside(tree: Table) -> Iterator[str]:
    """Replace credentials that a check must not read by stand-ins, and yield the keys."""
    todo: list[tuple[Any, tuple[str, ...]]] = [(tree, ())]
    while todo:
        table, path = todo.pop()
        for key, value in list(table.items() if isinstance(table, dict) else enumerate(table)):
            here = (*path, str(key))
            if isinstance(value, dict | list):
                todo.append((value, here))
            elif isinstance(value, str) and _is_elsewhere(value):
                named = key if isinstance(key, str) else path[-1]
                scheme, name = credential_variable(value)
                table[key] = f"{scheme}::{_ASIDE}{name}" if _is_reserved(value) else stand_in(named)
                yield f"{_RESERVED if _is_reserved(value) else _ELSEWHERE}{dotted(here)}"


def _placeholder(directory: Path, path: str, key: tuple[str, ...]) -> str:
    """Create an empty file or directory, and return its path for this TOML file.

    The path is relative, because the gateway may have another root directory.
    """
    if key[-1] == "base_path":
        name = "nothing"
        (directory / name).mkdir(exist_ok=True)
    else:
        kind = "json" if is_schema(key) else "text"
        name = f"elsewhere.{kind}"
        (directory / name).write_text(_PLACEHOLDERS[kind])
    return posixpath.relpath(name, posixpath.join(_PROJECT, posixpath.dirname(path)))
