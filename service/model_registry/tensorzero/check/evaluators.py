"""The rules of evaluators: of functions, and of top-level evaluations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from model_registry.errors import Reason
from model_registry.tensorzero.check.shape import (
    TableOf,
    TablesOf,
    anything,
    boolean,
    file_path,
    number,
    one_of,
    refused,
    text,
)
from model_registry.tensorzero.check.surroundings import Surroundings
from model_registry.tensorzero.project import Path

_COMMON = {"type": text}
_KINDS: Mapping[str, TableOf | None] = {
    "exact_match": TableOf({**_COMMON, "cutoff": number}),
    "llm_judge": TableOf(
        {
            **_COMMON,
            "input_format": text,
            "variants": anything,
            "output_type": one_of("float", "boolean"),
            "optimize": one_of("min", "max"),
            "include": TableOf({"reference_output": boolean}),
            "cutoff": number,
            "description": text,
        },
        frozenset({"variants", "output_type", "optimize"}),
    ),
    "regex": TableOf({**_COMMON, "must_match": anything, "must_not_match": anything}),
    "typescript": TableOf(
        {**_COMMON, "typescript_file": file_path, "output_type": text, "optimize": text},
        frozenset({"typescript_file"}),
    ),
    "tool_use": None,
}
"""None: left to the gateway's own check."""


def double_colon(name: str) -> str | None:
    """What is wrong with this name, or None."""
    return "must not contain '::'; rename it" if "::" in name else None


def _evaluator(path: Path, value: Any, around: Surroundings) -> Iterator[Reason]:  # noqa: ANN401 (any TOML value)
    kind = value.get("type") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping):
        yield refused(path, "must be a table")
    elif not isinstance(kind, str) or kind not in _KINDS:
        yield refused((*path, "type"), f"must be one of {', '.join(_KINDS)}")
    elif shape := _KINDS[kind]:
        yield from shape(path, value, around)


EVALUATORS = TablesOf(_evaluator, double_colon)
