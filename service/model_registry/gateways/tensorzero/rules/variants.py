"""Rules of one variant: the keys of its type, and its model. Evaluators have variants too, with fewer keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from model_registry.entities.json_types import Toml
from model_registry.entities.provider_types import GATEWAY_TYPES, is_shorthand, is_test_model
from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import Path
from model_registry.gateways.tensorzero.rules.parts import EXTRA_BODY, EXTRA_HEADERS, RETRIES, TIMEOUTS, namespace
from model_registry.gateways.tensorzero.rules.shape import (
    Shape,
    Surroundings,
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

_UINT32 = integer(0, 2**32 - 1)
_INT32 = integer(-(2**31), 2**31 - 1)
ROLES = ("system", "user", "assistant")


def chat_model(path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
    """Accept the name of a model that variants can use."""
    if not isinstance(value, str):
        yield refused(path, "must be a model's name, as a string")
    elif around.model(value) is not None or is_shorthand(value) or is_test_model(value):
        return  # of test models `doubts.py` warns
    elif around.embedding_model(value) is not None:
        yield refused(path, f"{value!r} is an embedding model, which no variant can use; name a chat model")
    else:
        yield refused(path, f"the model {value!r} is not in the configuration; add it, or name another one")


def embedding_model(path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
    """Accept the name of an embedding model."""
    shorthand = is_shorthand(value) if isinstance(value, str) else None
    known = isinstance(value, str) and around.embedding_model(value) is not None
    if not known and not (shorthand and GATEWAY_TYPES[shorthand[0]].embeddings):
        yield refused(path, f"{value!r} is no embedding model of this configuration; add it, or name another one")


def _weight(path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
    yield from number(path, value, around)
    if isinstance(value, int | float) and value < 0:
        yield refused(path, "must not be negative")


SAMPLING: dict[str, Shape] = {
    "temperature": number,
    "top_p": number,
    "max_tokens": _UINT32,
    "presence_penalty": number,
    "frequency_penalty": number,
    "seed": _UINT32,
    "stop_sequences": list_of(text),
    "reasoning_effort": text,
    "service_tier": one_of("auto", "default", "priority", "flex"),
    "thinking_budget_tokens": _INT32,
    "verbosity": text,
    "json_mode": one_of("off", "on", "strict", "tool", "implicit_tool"),
    "retries": RETRIES,
    "extra_body": EXTRA_BODY,
    "extra_headers": EXTRA_HEADERS,
}
_CHAT: dict[str, Shape] = SAMPLING | {
    "weight": _weight,
    "model": chat_model,
    "templates": TablesOf(TableOf({"path": file_path}, frozenset({"path"}))),
    "input_wrappers": TableOf(dict.fromkeys(ROLES, file_path)),
    **{f"{role}_template": file_path for role in ROLES},
}
_COMMON: dict[str, Shape] = {"type": text, "timeouts": TIMEOUTS, "namespace": namespace}
_OF_N: dict[str, Shape] = _COMMON | {"weight": _weight, "timeout_s": number, "candidates": list_of(text)}
_INNER = TableOf(_CHAT, frozenset({"model"}))

VARIANTS: Mapping[str, TableOf] = {
    "chat_completion": TableOf(_COMMON | _CHAT, frozenset({"type", "model"})),
    "experimental_chain_of_thought": TableOf(_COMMON | _CHAT, frozenset({"type", "model"})),
    "experimental_best_of_n_sampling": TableOf(
        _OF_N | {"evaluator": _INNER}, frozenset({"type", "candidates", "evaluator"})
    ),
    "experimental_mixture_of_n": TableOf(_OF_N | {"fuser": _INNER}, frozenset({"type", "candidates", "fuser"})),
    "experimental_dynamic_in_context_learning": TableOf(
        {key: shape for key, shape in (_COMMON | SAMPLING).items() if key != "service_tier"}
        | {
            "weight": _weight,
            "model": chat_model,
            "embedding_model": embedding_model,
            "k": _UINT32,
            "system_instructions": file_path,
            "max_distance": number,
        },
        frozenset({"type", "model", "embedding_model", "k"}),
        removed={"cutoff": "write max_distance"},
    ),
}

variant = by_type(VARIANTS)


_ASKED: Mapping[str, Shape] = {
    **SAMPLING,
    "active": boolean,
    "model": chat_model,
    "system_instructions": file_path,
}
_ANY: Mapping[str, Shape] = {"type": text, "timeouts": TIMEOUTS}
_NEEDED = frozenset({"model", "system_instructions", "json_mode"})
_JUDGE_INNER = TableOf(_ASKED, _NEEDED)
_JUDGE_CHAT = TableOf({**_ASKED, **_ANY}, _NEEDED)
_JUDGE_OF_N: Mapping[str, Shape] = {**_ANY, "active": boolean, "timeout_s": number, "candidates": list_of(text)}
_NOT_FOR_EXAMPLES = ("reasoning_effort", "service_tier", "thinking_budget_tokens", "verbosity")

_JUDGES: Mapping[str, TableOf] = {
    "chat_completion": _JUDGE_CHAT,
    "experimental_chain_of_thought": _JUDGE_CHAT,
    "experimental_best_of_n_sampling": TableOf({**_JUDGE_OF_N, "evaluator": _JUDGE_INNER}, frozenset({"evaluator"})),
    "experimental_mixture_of_n": TableOf({**_JUDGE_OF_N, "fuser": _JUDGE_INNER}, frozenset({"fuser"})),
    "experimental_dynamic_in_context_learning": TableOf(
        {key: shape for key, shape in {**_ASKED, **_ANY}.items() if key not in _NOT_FOR_EXAMPLES}
        | {"embedding_model": embedding_model, "k": integer()},
        frozenset({"model", "embedding_model", "k"}),
    ),
}
"""The variants of an LLM judge, by type: they have fewer keys than a function's."""


def _one_is_active(path: Path, judge: Mapping[str, Any], _: Surroundings) -> Iterator[Reason]:
    variants = judge.get("variants")
    tables = [t for t in variants.values() if isinstance(t, Mapping)] if isinstance(variants, Mapping) else []
    only = len(tables) == 1 and "active" not in tables[0]
    if tables and not only and [table.get("active") for table in tables].count(True) != 1:
        yield refused((*path, "variants"), "exactly one variant of a judge is used: give that one active = true")


_EVALUATOR = {"type": text}
_KINDS: Mapping[str, TableOf | None] = {
    "exact_match": TableOf({**_EVALUATOR, "cutoff": number}),
    "llm_judge": TableOf(
        {
            **_EVALUATOR,
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
    "regex": TableOf({**_EVALUATOR, "must_match": anything, "must_not_match": anything}),
    "typescript": TableOf(
        {**_EVALUATOR, "typescript_file": file_path, "output_type": text, "optimize": text},
        frozenset({"typescript_file"}),
    ),
    "tool_use": None,
}
"""None: left to the gateway's own check."""


def double_colon(name: str) -> str | None:
    """Return a fault of this name, or None."""
    return "must not contain '::'; rename it" if "::" in name else None


EVALUATORS = TablesOf(by_type(_KINDS), double_colon)
