"""Finds the keys of a project that name files (templates, schemas, tool parameters), and what they refer to.

Reads no file: references are resolved among the files sent with a project, and renamed to the registry's paths.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from pydantic import ValidationError

from model_registry.entities.config import ConfigFileDraft
from model_registry.entities.field_errors import reasons_of
from model_registry.entities.json_types import Toml
from model_registry.errors import Reason
from model_registry.file_paths import CONFIG_FILE
from model_registry.gateways.tensorzero.project import (
    BASE_PATH,
    MODELLED,
    SECTIONS,
    Path,
    Table,
    below,
    dotted,
    is_below,
    kept_as,
    leaves_project,
    located,
    project_path_problem,
    put,
)
from model_registry.gateways.tensorzero.reading.includes import includable

_DEEPEST = 100
_ROLES = ("system", "user", "assistant")
_SCHEMAS = tuple((f"{kind}_schema",) for kind in (*_ROLES, "output"))
_PROMPTS: tuple[Path, ...] = (
    ("system_instructions",),
    ("templates", "*", "path"),
    *((f"{role}_template",) for role in _ROLES),
)
_TEMPLATES: tuple[Path, ...] = (*_PROMPTS, *(("input_wrappers", role) for role in _ROLES))


def _below(prefix: Path, endings: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(prefix + ending for ending in endings)


def _evaluator_files(prefix: Path) -> tuple[Path, ...]:
    """Return an evaluator's file keys: instructions, templates inside a best-of-n, and a program."""
    variant = (*prefix, "variants", "*")
    return (
        (*variant, "system_instructions"),
        *_below((*variant, "evaluator"), _PROMPTS),
        *_below((*variant, "fuser"), _PROMPTS),
        (*prefix, "typescript_file"),
    )


_FUNCTION: Path = ("functions", "*")
_VARIANT: Path = (*_FUNCTION, "variants", "*")

FILE_KEYS: tuple[Path, ...] = (
    *_below(_FUNCTION, (*_SCHEMAS, ("schemas", "*", "path"))),
    *_below(_VARIANT, (*_SCHEMAS, *_TEMPLATES)),
    *_below((*_VARIANT, "evaluator"), _TEMPLATES),
    *_below((*_VARIANT, "fuser"), _TEMPLATES),
    *_evaluator_files((*_FUNCTION, "evaluators", "*")),
    *_evaluator_files(("evaluations", "*", "evaluators", "*")),
    ("tools", "*", "parameters"),
    ("gateway", "template_filesystem_access", "base_path"),
)
"""Every key that names a file (the last one: a directory); `*` matches any key."""


class _Node:
    """A prefix tree of patterns, so that a configuration is walked once for all of them."""

    __slots__ = ("index", "named", "rest")

    def __init__(self, patterns: list[tuple[int, Path]]) -> None:
        self.index = next((index for index, pattern in patterns if not pattern), None)
        """Index of the pattern that ends here."""
        below: dict[str, list[tuple[int, Path]]] = {}
        for index, pattern in patterns:
            if pattern:
                below.setdefault(pattern[0], []).append((index, pattern[1:]))
        self.rest = _Node(below.pop("*")) if "*" in below else None
        self.named = {key: _Node(inner) for key, inner in below.items()}


_PATTERNS = _Node(list(enumerate(FILE_KEYS)))


def file_references(tree: Table) -> Iterator[tuple[Path, Any]]:
    """Yield the keys that name files, with their values, in the order of `FILE_KEYS`."""
    matches = sorted(_matches(tree, _PATTERNS, ()), key=itemgetter(0))
    return ((path, value) for _, path, value in matches)


def _matches(value: Toml, node: _Node, path: Path) -> Iterator[tuple[int, Path, Any]]:
    if node.index is not None:
        yield node.index, path, value
    if isinstance(value, dict):
        for key, inner in node.named.items():
            if key in value:
                yield from _matches(value[key], inner, (*path, key))
        if node.rest is not None:
            for key in value:
                yield from _matches(value[key], node.rest, (*path, key))


def is_schema(key: Path) -> bool:
    """Whether the gateway reads the file under this key as a JSON schema: schemas, and the parameters of tools."""
    return key[-1].endswith("_schema") or key[-1] == "parameters" or key[-3:-2] == ("schemas",)


def strings(tree: object) -> Iterator[tuple[str, str]]:
    """Yield every text in a configuration, with its key.

    Raises:
        RecursionError: nested deeper than any real configuration.
    """
    todo: list[tuple[str, Any, int]] = [("", tree, 0)]
    while todo:
        key, value, depth = todo.pop()
        if depth > _DEEPEST:
            raise RecursionError("nested too deeply")
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, dict):
            todo += [(name, item, depth + 1) for name, item in value.items()]
        elif isinstance(value, list):
            todo += [(key, item, depth + 1) for item in value]


@dataclass(frozen=True, slots=True)
class Survey:
    """A configuration, or a part of it, with its references."""

    tree: Table
    """Do not change it: it may be shared."""
    texts: tuple[tuple[str, str], ...]
    """Values that may be a credential's location, each with its key."""
    references: tuple[tuple[Path, Any], ...]
    """The keys that name files, and their values."""


def surveyed(tree: Table) -> Survey:
    """Walk a configuration.

    Raises:
        RecursionError: it is nested deeper than any real configuration.
    """
    texts = tuple((key, value) for key, value in strings(tree) if "::" in value)
    return Survey(tree, texts, tuple(file_references(tree)))


def together(tree: Table, parts: Iterable[Survey]) -> Survey:
    """Combine the surveys of a configuration's parts."""
    parts = list(parts)
    texts = tuple(text for part in parts for text in part.texts)
    return Survey(tree, texts, tuple(reference for part in parts for reference in part.references))


_LONGEST_NAME = 255
"""Bytes in a file's name, on most systems."""


@dataclass(slots=True)
class Resolved:
    """The files that a project references."""

    files: dict[str, str] = field(default_factory=dict)
    """The registry's path -> content."""
    reasons: list[Reason] = field(default_factory=list)
    rewritten: list[tuple[str, str]] = field(default_factory=list)
    """Syntax that was replaced: file or key, and the replacement."""


def configurations(trees: Mapping[str, Table]) -> dict[str, Table]:
    """Select the TOML files that are the configuration. Others are referenced by it or may be included."""
    named = [
        (located(name, value), path == BASE_PATH)
        for name, tree in trees.items()
        for path, value in file_references(tree)
        if isinstance(value, str)
    ]
    files = {target for target, is_base in named if not is_base}
    bases = [target for target, is_base in named if is_base]

    def other(name: str, tree: Table) -> bool:
        ours = bool(tree.keys() & (MODELLED | SECTIONS))
        return name in files or (bool(tree) and not ours and any(is_below(name, base) for base in bases))

    return {name: tree for name, tree in trees.items() if not other(name, tree)}


def resolve(trees: Mapping[str, Table], sent: Mapping[str, str], *, only_included: bool = False) -> Resolved:
    """Make every reference relative to the project's root, in place, and collect the referenced files.

    Args:
        trees: the configuration's TOML files.
        sent: the other files, by their path from the root.
        only_included: keep of `base_path` only what templates include.
    """
    result = Resolved()
    includes = _included(trees, sent) if only_included else sent
    used: dict[str, str] = {}
    for name, tree in trees.items():
        moved = 0
        for path, value in list(file_references(tree)):
            if not isinstance(value, str) or not value:
                continue  # the rules of a configuration report it
            target = located(name, value)
            _pick(f"{name}: {dotted(path)}", path, value, target, includes if path == BASE_PATH else sent, result, used)
            put(tree, path, kept_as(target))
            moved += kept_as(target) != posixpath.normpath(value)
        if moved:
            result.rewritten.append((name, f"{moved} path{'s'[: moved > 1]} made relative to {CONFIG_FILE}"))
    unused = [path for path in sent if path not in used]
    why = "neither a key nor a template of the project names it" if only_included else _NO_KEY
    result.rewritten += [(path, f"left out: {why}") for path in unused]
    _check_contents(used, result)
    return result


_NO_KEY = "no key of the configuration refers to it"


def _included(trees: Mapping[str, Table], sent: Mapping[str, str]) -> dict[str, str]:
    """Return the files below `base_path` that templates include."""
    named = [
        (path, located(name, value))
        for name, tree in trees.items()
        for path, value in file_references(tree)
        if isinstance(value, str)
    ]
    templates = [sent[target] for path, target in named if path != BASE_PATH and target in sent]
    included: dict[str, str] = {}
    for base in (target for path, target in named if path == BASE_PATH):
        inside = {posixpath.relpath(file, base): file for file in below(sent, base)}
        for name in includable(templates, inside, lambda name, inside=inside: sent[inside[name]]):  # type: ignore[misc]
            included[inside[name]] = sent[inside[name]]
    return included


def _pick(  # noqa: PLR0913, PLR0917 (a reference and its context)
    where: str, key: Path, value: str, target: str, sent: Mapping[str, str], result: Resolved, used: dict[str, str]
) -> None:
    if leaves_project(target):
        message = f"{value!r} leads out of the project; import from a directory that has both, or move the file"
        result.reasons.append(Reason(where, message))
    elif key == BASE_PATH:
        if target in sent:
            result.reasons.append(Reason(where, f"{value!r} is a file; it must be a directory"))
        for path in below(sent, target):
            used[path] = kept_as(path)
            result.files[kept_as(path)] = sent[path]
    elif target not in sent:
        result.reasons.append(Reason(where, _no_such_file(value)))
    else:
        used[target] = kept_as(target)
        result.files[kept_as(target)] = sent[target]
        if is_schema(key) and (problem := _json_fault(sent[target])):
            result.reasons.append(Reason(where, f"{value!r} is not valid JSON: {problem}"))


def _no_such_file(value: str) -> str:
    if "\n" in value or len(value) > _LONGEST_NAME:
        return "holds text, and the gateway takes the path of a file here; write the text into a file, and name that"
    return f"refers to {value!r}, and the project has no such file"


def _json_fault(content: str) -> str | None:
    try:
        json.loads(content)
    except ValueError as error:
        return str(error)
    except RecursionError:
        return "nested too deeply"
    return None


def _check_contents(used: Mapping[str, str], result: Resolved) -> None:
    for path, kept in used.items():
        if problem := project_path_problem(kept):
            result.reasons.append(Reason(path, problem))
        try:
            ConfigFileDraft(path=kept, content=result.files[kept])
        except ValidationError as error:
            result.reasons.append(Reason(path, str(reasons_of(error)[0])))
