"""Reads a project's files from disk: its TOML and the referenced files. Parsing them is in `parse.py`."""

from __future__ import annotations

import glob
import json
import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import tomli

from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import BASE_PATH, MODELLED, SECTIONS, Project, refuse
from model_registry.gateways.tensorzero.reading.file_references import file_references, is_schema, strings
from model_registry.gateways.tensorzero.reading.includes import includable
from model_registry.gateways.tensorzero.reading.parse import parse_project
from model_registry.gateways.tensorzero.reading.upgrade import INCLUDES, upgraded

_ELSEWHERE = frozenset({"node_modules", "site-packages", "target", "venv", "__pycache__"})


def read_project(paths: Iterable[str | Path], *, upgrade: bool = False) -> Project:
    """Read and parse a project from files, directories and globs, and upgrade old syntax if asked.

    Raises:
        InvalidConfiguration: a path is missing or unreadable, or the project is not valid.
    """
    return parse_project(*read_files(paths, upgrade=upgrade), upgrade=upgrade)


def read_files(paths: Iterable[str | Path], *, upgrade: bool = False) -> tuple[dict[str, str], tuple[str, ...]]:
    """Read the files of these paths, directories and globs, and the files they reference: path from the root -> text.

    The root is their common directory, absolute references aside. Second result: the files that are the
    configuration; others may look like one, and only serve templates to include.
    """
    reasons: list[Reason] = []
    tomls = find_files(paths)
    texts = {file: text for file in tomls if (text := _text(file, reasons)) is not None}
    refuse(reasons)
    references = list(_references(texts, upgrade=upgrade))
    near, far = _referred(texts, references, reasons)
    root = Path(os.path.commonpath([*(f.parent for f in [*tomls, *near]), *_bases(references)])) if tomls else Path()
    named = {file.relative_to(root).as_posix(): text for file, text in [*texts.items(), *near.items()]}
    refuse(reasons)
    return named | far, tuple(named)[: len(texts)]


def read_whole_project(paths: Iterable[str | Path]) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Read a project from disk with its referenced files: path -> content, and the files that are the configuration.

    Raises:
        InvalidConfiguration: a path is missing.
    """
    tomls = find_files(paths)
    files = {Path(os.path.normpath(file)) for file in tomls}
    for file in tomls:
        try:
            tree = tomli.loads(file.read_text("utf-8-sig"))
        except (ValueError, RecursionError):
            continue  # the rules report it
        for _, value in file_references(tree):
            if isinstance(value, str) and value and not posixpath.isabs(value):
                named = Path(os.path.normpath(file.parent / value))
                files |= set(files_below(named)) or {named}
    root = Path(os.path.commonpath([file.parent for file in files]))
    contents = {file.relative_to(root).as_posix(): file.read_bytes() for file in sorted(files) if is_file(file)}
    return contents, tuple(Path(os.path.normpath(file)).relative_to(root).as_posix() for file in tomls)


_Reference = tuple[Path, tuple[str, ...], str, bool]
"""A TOML file, a key in it that names a file or a directory, the path, and whether only what is included is read."""


def _referred(
    texts: dict[Path, str], references: Iterable[_Reference], reasons: list[Reason]
) -> tuple[dict[Path, str], dict[str, str]]:
    """Return the files that the TOML names by relative paths, and those by absolute ones.

    Files below a directory that templates could include and do not are returned without their text: to be reported.
    """
    near: dict[Path, str] = {}
    far: dict[str, str] = {}
    for toml, key, value, only_included in sorted(references, key=lambda reference: reference[1] == BASE_PATH):
        target = Path(os.path.normpath(toml.parent / value))
        files = [file for file in (files_below(target) if key == BASE_PATH else [target]) if is_file(file)]
        # Parsing the project reports missing files.
        wanted = _included(target, files, [*near.values(), *far.values()]) if only_included else set(files)
        for file in files:
            if file in texts or file in near:
                continue
            text = _text(file, reasons if key != BASE_PATH else []) if file in wanted else ""
            if text is None:
                continue  # no mistake below base_path: templates cannot include binary files
            if value.startswith("/"):
                far[file.as_posix()] = text
            else:
                near[file] = text
    return near, far


def _included(directory: Path, files: Iterable[Path], templates: Iterable[str]) -> set[Path]:
    names = {file.relative_to(directory).as_posix(): file for file in files}
    return {names[name] for name in includable(templates, names, lambda name: _text(names[name], []) or "")}


def directory_of(paths: Iterable[str | Path]) -> str:
    """Return the name of the directory that the TOML files of these paths have in common; empty for the root.

    Raises:
        InvalidConfiguration: a path is missing.
    """
    return Path(os.path.commonpath([file.parent for file in find_files(paths)])).name


def is_file(path: Path) -> bool:
    """Whether a file exists. False also for a text instead of a path, which may be too long for the system."""
    try:
        return path.is_file()
    except OSError:
        return False


def _bases(references: Iterable[_Reference]) -> Iterator[Path]:
    for toml, key, value, _ in references:
        if key == BASE_PATH and not value.startswith("/"):
            yield Path(os.path.normpath(toml.parent / value))


def _references(texts: dict[Path, str], *, upgrade: bool) -> Iterator[_Reference]:
    for toml, text in texts.items():
        try:
            tree = tomli.loads(text.removeprefix("\ufeff"))
        except (tomli.TOMLDecodeError, RecursionError):
            continue  # parsing the project reports the error
        opened = upgrade and INCLUDES in upgraded({"": tree})  # it may add a directory whose files are included
        for key, value in file_references(tree):
            if isinstance(value, str) and value:
                yield toml, key, value, opened and key == BASE_PATH


def files_below(directory: Path) -> Iterator[Path]:
    """Yield every file that a template could include from a directory."""
    return (file for file in _walk(directory) if not file.name.startswith("."))


def _walk(directory: Path) -> Iterator[Path]:
    for parent, directories, names in os.walk(directory):
        directories[:] = sorted(d for d in directories if d not in _ELSEWHERE and not d.startswith("."))
        yield from (Path(parent, name) for name in sorted(names))


def find_files(paths: Iterable[str | Path]) -> list[Path]:
    """Return the absolute paths of the TOML files of these paths, directories and globs."""
    reasons: list[Reason] = []
    files = list(dict.fromkeys(file for path in paths for file in _matching(Path(path), reasons)))
    refuse(reasons)
    return files


def _matching(path: Path, reasons: list[Reason]) -> Iterator[Path]:
    absolute = path.absolute()
    if absolute.is_file():
        yield absolute
    elif absolute.is_dir():
        files = [file for file in _walk(absolute) if file.suffix == ".toml" and file.is_file() and _is_ours(file)]
        if not files:
            reasons.append(Reason(str(path), "has no TOML file of a TensorZero project in it"))
        yield from files
    elif glob.has_magic(str(path)):
        names = sorted(glob.glob(str(absolute), recursive=True))  # noqa: PTH207 (Path.glob takes no absolute pattern)
        if not names:
            reasons.append(Reason(str(path), "no file matches"))
        yield from (Path(name) for name in names if Path(name).is_file())
    elif absolute.exists():
        reasons.append(Reason(str(path), "is not a regular file"))
    else:
        reasons.append(Reason(str(path), "no such file or directory"))


def _is_ours(file: Path) -> bool:
    """Whether a TOML file has a table of the gateway, not only of other tools, or is unreadable: to be reported."""
    try:
        tree = tomli.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return file.name not in {"pyproject.toml", "Cargo.toml"}
    return not tree or bool(tree.keys() & (MODELLED | SECTIONS))


def _text(file: Path, reasons: list[Reason]) -> str | None:
    """Read a file; on failure add the reason and return None."""
    try:
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        reasons.append(Reason(str(file), f"cannot be read: {error.strerror}"))
    except UnicodeDecodeError as error:
        reasons.append(Reason(str(file), f"is not UTF-8 text (byte {error.start})"))
    return None


_MOST = 1000


def named_outside(files: Mapping[str, bytes], configuration: Iterable[str]) -> tuple[Path, ...]:
    """Return the absolute paths of templates, schemas and credentials, and of everything that schemas reference."""
    outside: dict[Path, None] = {}
    schemas = [content for path, content in files.items() if path.endswith(".json")]
    for name in configuration:
        try:
            tree = tomli.loads(files[name].decode("utf-8-sig"))
            texts = [value for _, value in strings(tree)]
        except (ValueError, RecursionError):
            continue  # the rules report it
        outside |= dict.fromkeys(Path(value[6:]) for value in texts if value.startswith("path::/"))
        for key, value in file_references(tree):
            if isinstance(value, str) and posixpath.isabs(value):
                outside[Path(value)] = None
                schemas += [Path(value).read_bytes()] if is_schema(key) and is_file(Path(value)) else []
    while schemas and len(outside) < _MOST:
        for path in _referred_by_schema(schemas.pop()):
            if path not in outside:
                outside[path] = None
                schemas += [path.read_bytes()] if is_file(path) else []
    return tuple(outside)


def _referred_by_schema(schema: bytes) -> Iterator[Path]:
    tree: Any = None
    with suppress(ValueError, RecursionError):
        tree = json.loads(schema)
    with suppress(RecursionError):
        for key, value in strings(tree):
            if key in {"$ref", "$dynamicRef", "$schema"} and value.startswith("file:///"):
                yield Path(unquote(urlsplit(value).path))
