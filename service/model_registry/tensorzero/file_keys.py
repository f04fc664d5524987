"""Which keys of a project name files: templates, schemas, tool parameters. Knows the keys; reads no file.

The 59 patterns are those of the gateway's own list (crates/tensorzero-config-paths), measured with 2026.6.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from model_registry.tensorzero.project import Path, Table

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
    """Of an evaluator: a judge's own instructions, the templates inside its best-of-n, and a program."""
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
"""Every key that names a file (the last one: a directory); `*` stands for any key."""


def file_references(tree: Table) -> Iterator[tuple[Path, Any]]:
    """The keys of this tree that name files, with what is written there."""
    for pattern in FILE_KEYS:
        yield from _matches(tree, pattern, ())


def _matches(value: Any, pattern: Path, path: Path) -> Iterator[tuple[Path, Any]]:  # noqa: ANN401 (any TOML value)
    if not pattern:
        yield path, value
    elif isinstance(value, dict):
        keys = value if pattern[0] == "*" else [key for key in (pattern[0],) if key in value]
        for key in keys:
            yield from _matches(value[key], pattern[1:], (*path, key))
