"""Finds the keys of a project that name files: templates, schemas, tool parameters. Reads no file.

The 59 patterns are the gateway's own list (crates/tensorzero-config-paths), measured with 2026.6.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from model_registry.entities.json_types import Toml
from model_registry.gateways.tensorzero.project import Path, Table

_ROLES = ("system", "user", "assistant")
_SCHEMAS = tuple((f"{kind}_schema",) for kind in (*_ROLES, "output"))
_JUDGE_TEMPLATES: tuple[Path, ...] = (
    ("system_instructions",),
    ("templates", "*", "path"),
    *((f"{role}_template",) for role in _ROLES),
)
_TEMPLATES: tuple[Path, ...] = (*_JUDGE_TEMPLATES, *(("input_wrappers", role) for role in _ROLES))


def _below(prefix: Path, endings: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(prefix + ending for ending in endings)


def _evaluator_files(prefix: Path) -> tuple[Path, ...]:
    """Return an evaluator's file keys: a judge's instructions, templates inside its best-of-n, and a program."""
    variant = (*prefix, "variants", "*")
    return (
        (*variant, "system_instructions"),
        *_below((*variant, "evaluator"), _JUDGE_TEMPLATES),
        *_below((*variant, "fuser"), _JUDGE_TEMPLATES),
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
