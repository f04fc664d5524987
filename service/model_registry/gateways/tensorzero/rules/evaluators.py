"""Rules of evaluators, in functions and in top-level evaluations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import Path
from model_registry.gateways.tensorzero.rules.context import Surroundings
from model_registry.gateways.tensorzero.rules.parts import TIMEOUTS
from model_registry.gateways.tensorzero.rules.shape import (
    Shape,
    TableOf,
    TablesOf,
    anything,
    boolean,
    by_type,
    file_path,
    integer,
    list_of,
    number,
    one_of,
    refused,
    text,
)
from model_registry.gateways.tensorzero.rules.variants import SAMPLING, chat_model, embedding_model

_ASKED: Mapping[str, Shape] = {
    **SAMPLING,
    "active": boolean,
    "model": chat_model,
    "system_instructions": file_path,
}
_ANY: Mapping[str, Shape] = {"type": text, "timeouts": TIMEOUTS}
_NEEDED = frozenset({"model", "system_instructions", "json_mode"})
_JUDGE = TableOf(_ASKED, _NEEDED)
_CHAT = TableOf({**_ASKED, **_ANY}, _NEEDED)
_OF_N: Mapping[str, Shape] = {**_ANY, "active": boolean, "timeout_s": number, "candidates": list_of(text)}
_NOT_FOR_EXAMPLES = ("reasoning_effort", "service_tier", "thinking_budget_tokens", "verbosity")

_JUDGES: Mapping[str, TableOf] = {
    "chat_completion": _CHAT,
    "experimental_chain_of_thought": _CHAT,
    "experimental_best_of_n_sampling": TableOf({**_OF_N, "evaluator": _JUDGE}, frozenset({"evaluator"})),
    "experimental_mixture_of_n": TableOf({**_OF_N, "fuser": _JUDGE}, frozenset({"fuser"})),
    "experimental_dynamic_in_context_learning": TableOf(
        {key: shape for key, shape in {**_ASKED, **_ANY}.items() if key not in _NOT_FOR_EXAMPLES}
        | {"embedding_model": embedding_model, "k": integer()},
        frozenset({"model", "embedding_model", "k"}),
    ),
}
"""The variants of an LLM judge, by type: they have fewer keys than a function's."""


def _one_is_active(path: Path, judge: Mapping[str, Any], _: Surroundings) -> Iterator[Reason]:
    variants = judge.get("variants")
    tables = (
        [table for table in variants.values() if isinstance(table, Mapping)] if isinstance(variants, Mapping) else []
    )
    only = len(tables) == 1 and "active" not in tables[0]
    if tables and not only and [table.get("active") for table in tables].count(True) != 1:
        yield refused((*path, "variants"), "exactly one variant of a judge is used: give that one active = true")


_COMMON = {"type": text}
_KINDS: Mapping[str, TableOf | None] = {
    "exact_match": TableOf({**_COMMON, "cutoff": number}),
    "llm_judge": TableOf(
        {
            **_COMMON,
            "input_format": one_of("serialized", "messages"),
            "variants": TablesOf(by_type(_JUDGES)),
            "output_type": one_of("float", "boolean"),
            "optimize": one_of("min", "max"),
            "include": TableOf({"reference_output": boolean}),
            "cutoff": number,
            "description": text,
        },
        frozenset({"variants", "output_type", "optimize"}),
        (_one_is_active,),
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
    """Return a fault of this name, or None."""
    return "must not contain '::'; rename it" if "::" in name else None


EVALUATORS = TablesOf(by_type(_KINDS), double_colon)
