"""Files of a project laid out in a directory, so that a gateway on this machine can validate them.

What belongs to another machine, or needs more than a gateway, is put aside and named. Validates nothing itself.

A closed set: names come from `file_names.normalised`, the schemas are known not to lead outside, and every other key
that names something on a machine is given a stand-in here.
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

from model_registry.gateways.tensorzero.project import Table, dotted
from model_registry.gateways.tensorzero.reading.file_keys import file_references
from model_registry.gateways.tensorzero.reading.outside_references import Survey, surveyed
from model_registry.gateways.tensorzero.rules.schema_references import is_schema
from model_registry.gateways.tensorzero.validation.dummy_credentials import (
    credential_variable,
    environment,
    is_reserved,
    stand_in,
)
from model_registry.gateways.tensorzero.validation.gateway_process import needs_more, set_aside

_PROJECT = "project"
_PLACEHOLDERS = {"json": "{}", "text": ""}
_ELSEWHERE = "not judged, because it is on the gateway's machine: "
_RESERVED = "not judged, because the check itself depends on a variable of this name: "
_ASIDE = "PUT_ASIDE_"
_MAGIC = re.compile(r"[\[\]*?{},\\]")


@dataclass(frozen=True, slots=True)
class Staged:
    """Where the gateway finds a project, and what it needs to load it."""

    path: Path
    variables: dict[str, str]
    unasked: tuple[str, ...]


@contextmanager
def staged(
    files: Mapping[str, bytes], configuration: Mapping[str, Survey], within: Path, *, trusted: bool, ours: bool = False
) -> Iterator[Staged]:
    """Lay a project out; it is gone afterwards.

    Args:
        files: all files by normalised path.
        configuration: those of them that are the configuration, as they were read.
        within: where the gateway may read.
        trusted: whether what they name outside the project may be read on this machine.
        ours: whether the registry rendered them itself. Other texts are written anew from what was read of them: the
            gateway must not read them in another way than we did.
    """
    with tempfile.TemporaryDirectory(prefix="judged-", dir=within) as name:
        directory = Path(name)
        project = directory / _PROJECT
        project.mkdir()
        unasked: list[str] = []
        texts: list[tuple[str, str]] = []
        for path, content in files.items():
            target = project / path
            target.parent.mkdir(parents=True, exist_ok=True)
            written = content
            if path in configuration:
                survey = configuration[path]
                # 10,000 models are read again and written in two seconds: only when something must go.
                if any(_set_aside_in(survey, path, trusted=trusted)) or not (ours or trusted):
                    tree = tomli.loads(content.decode("utf-8-sig"))  # to be changed: what was read may be shared
                    unasked += _put_aside(tree, path, directory, trusted=trusted)
                    survey, written = surveyed(tree), tomli_w.dumps(tree).encode()
                texts += survey.texts
            target.write_bytes(written)
        where = project / _glob(list(configuration))
        yield Staged(where, environment(texts), tuple(unasked))


def _glob(names: list[str]) -> str:
    """These files and no others, which may be there for templates to include."""
    escaped = [_MAGIC.sub(r"[\g<0>]", name) for name in names]
    if escaped == names[:1]:
        return names[0]
    return "{" + ",".join(escaped) + "}"


def is_inside(path: str) -> bool:
    """Whether a path stays in the directory that it is relative to."""
    normal = posixpath.normpath(path)
    return not posixpath.isabs(path) and normal not in (".", "..") and not normal.startswith("../")


def _set_aside_in(survey: Survey, path: str, *, trusted: bool) -> Iterator[bool]:
    """Something for every part of a configuration that has to be put aside."""
    yield from (True for _ in needs_more(survey.tree))
    if not trusted:
        yield from (True for _ in _files_elsewhere(survey.references, path))
        yield from (True for _, value in survey.texts if _is_elsewhere(value))


def _put_aside(tree: Table, path: str, directory: Path, *, trusted: bool) -> list[str]:
    unasked = list(set_aside(tree))
    if not trusted:
        for key in list(_files_elsewhere(file_references(tree), path)):
            _replace(tree, key, _placeholder(directory, path, key))
            unasked.append(f"{_ELSEWHERE}{dotted(key)}")
        unasked += _credentials_aside(tree)
    return unasked


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
    """Give stand-ins to the credentials that a check must not look at, and name the keys."""
    todo: list[tuple[Any, tuple[str, ...]]] = [(tree, ())]
    while todo:
        table, path = todo.pop()
        for key, value in list(table.items() if isinstance(table, dict) else enumerate(table)):
            here = (*path, str(key))
            if isinstance(value, dict | list):
                todo.append((value, here))
            elif isinstance(value, str) and _is_elsewhere(value):
                named = key if isinstance(key, str) else path[-1]
                table[key] = _aside(value) if _is_reserved(value) else stand_in(named)
                yield f"{_RESERVED if _is_reserved(value) else _ELSEWHERE}{dotted(here)}"


def _aside(value: str) -> str:
    scheme, name = credential_variable(value)
    return f"{scheme}::{_ASIDE}{name}"


def _placeholder(directory: Path, path: str, key: tuple[str, ...]) -> str:
    """A file, or directory, with nothing in it, as this TOML file can name it.

    Relative: what our root is may be another one to the gateway.
    """
    if key[-1] == "base_path":
        name = "nothing"
        (directory / name).mkdir(exist_ok=True)
    else:
        kind = "json" if is_schema(key) else "text"
        name = f"elsewhere.{kind}"
        (directory / name).write_text(_PLACEHOLDERS[kind])
    return posixpath.relpath(name, posixpath.join(_PROJECT, posixpath.dirname(path)))


def _replace(tree: Table, key: tuple[str, ...], value: str) -> None:
    here: Any = tree
    *parents, last = key
    for parent in parents:
        here = here[parent]
    here[last] = value
