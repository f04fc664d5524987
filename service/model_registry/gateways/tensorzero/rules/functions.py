"""Rules of one function: its keys by type, and the consistency of its variants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from model_registry.entities.json_types import Toml
from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import Path
from model_registry.gateways.tensorzero.rules.experimentation import experimentation, sampling_rules
from model_registry.gateways.tensorzero.rules.shape import (
    Shape,
    Surroundings,
    TableOf,
    TablesOf,
    boolean,
    file_path,
    list_of,
    refused,
    text,
    unreserved,
)
from model_registry.gateways.tensorzero.rules.variants import EVALUATORS, ROLES, variant

NEED_JSON_MODE = {
    "chat_completion": None,
    "experimental_chain_of_thought": None,
    "experimental_dynamic_in_context_learning": None,
    "experimental_mixture_of_n": "fuser",
}
"""Types of variants that need a JSON mode in a json function, and the table for it."""


_SENDERS = {
    "chat_completion": ("",),
    "experimental_chain_of_thought": ("",),
    "experimental_best_of_n_sampling": ("evaluator",),
    "experimental_mixture_of_n": ("fuser",),
}
"""Types of variants that fill templates, and their tables for it."""


def _tool(path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
    if not isinstance(value, str) or not around.has("tools", value):
        yield refused(path, f"the tool {value!r} is not in the configuration; add it under tools, or take it out")


def _tool_choice(path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
    if isinstance(value, Mapping):
        yield from TableOf({"specific": text}, frozenset({"specific"}))(path, value, around)
    elif value not in ("none", "auto", "required"):
        yield refused(path, "must be none, auto, required or { specific = <tool> }")


def _variants(path: Path, function: Mapping[str, Any], _: Surroundings) -> Iterator[Reason]:
    """Check the variants: at least one, each fitting the function's type, best-of-n without cycles."""
    variants = function.get("variants")
    if not isinstance(variants, Mapping):
        return
    here = (*path, "variants")
    if not variants:
        yield refused(here, "is empty: the gateway loads it and then fails at every call; add a variant")
    for name, table in variants.items():
        if isinstance(table, Mapping):
            yield from _fits((*here, name), table, function.get("type"))
            yield from _candidates((*here, name), table, variants)
            yield from _templates((*here, name), table, function)
    yield from _circles(here, variants)


def _fits(path: Path, variant_table: Mapping[str, Any], function_type: Toml) -> Iterator[Reason]:
    kind = str(variant_table.get("type"))
    if function_type == "json" and kind in NEED_JSON_MODE:
        inner = NEED_JSON_MODE[kind]
        table = variant_table.get(inner) if inner else variant_table
        if isinstance(table, Mapping) and "json_mode" not in table:
            where = (*path, inner, "json_mode") if inner else (*path, "json_mode")
            yield refused(
                where, "is missing, and every variant of a json function needs one; add json_mode, e.g. strict"
            )
    if function_type == "chat" and kind == "chat_completion" and "json_mode" in variant_table:
        yield refused((*path, "json_mode"), "is only for json functions; remove it, or make the function json")
    if function_type == "chat" and kind == "experimental_chain_of_thought":
        yield refused((*path, "type"), "is only for json functions; use chat_completion")


def _candidates(path: Path, table: Mapping[str, Any], variants: Mapping[str, Any]) -> Iterator[Reason]:
    candidates = table.get("candidates")
    for name in candidates if isinstance(candidates, list) else ():
        if not isinstance(name, str) or name not in variants:
            yield refused(
                (*path, "candidates"), f"the function has no variant {name!r} to choose; add it, or take it out"
            )


def _templates(path: Path, variant_table: Mapping[str, Any], function: Mapping[str, Any]) -> Iterator[Reason]:
    """Check templates: a variant that calls a model needs one for each schema, and no wrapper for such input."""
    schemas = function.get("schemas")
    named = schemas.keys() if isinstance(schemas, Mapping) else frozenset()
    roles = {role for role in ROLES if f"{role}_schema" in function or role in named}
    for where in _SENDERS.get(str(variant_table.get("type")), ()):
        sender = variant_table.get(where) if where else variant_table
        if not isinstance(sender, Mapping):
            continue
        here = (*path, where) if where else path
        templates, wrappers = (_mapping(sender.get(key)) for key in ("templates", "input_wrappers"))
        for name in sorted(roles | named):
            if name in roles and name in wrappers:
                message = f"cannot stand beside {name}_schema of the function; give a template for the schema instead"
                yield refused((*here, "input_wrappers", name), message)
            elif name not in templates and not (name in roles and f"{name}_template" in sender):
                message = f"the function has a schema {name!r}, and no template takes it; add templates.{name}"
                yield refused((*here, "templates", name), message)


def _mapping(value: Toml) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _circles(path: Path, variants: Mapping[str, Any]) -> Iterator[Reason]:
    """Refuse variants that choose themselves, directly or indirectly: the gateway would crash."""
    graph = {
        name: [str(candidate) for candidate in table["candidates"]]
        for name, table in variants.items()
        if isinstance(table, Mapping) and isinstance(table.get("candidates"), list)
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = error.args[1]
        yield refused((*path, circle[0], "candidates"), f"leads back to itself ({' <- '.join(circle)}); take one out")


def _base(extra: dict[str, Shape]) -> TableOf:
    schemas = {f"{role}_schema": file_path for role in ROLES}
    keys: dict[str, Shape] = {
        "type": text,
        "description": text,
        "variants": TablesOf(variant, unreserved),
        "schemas": TablesOf(TableOf({"path": file_path}, frozenset({"path"}))),
        "experimentation": experimentation,
        "evaluators": EVALUATORS,
    }
    return TableOf(keys | schemas | extra, frozenset({"type", "variants"}), (_variants, sampling_rules))


FUNCTION_TYPES = {
    "chat": _base({"tools": list_of(_tool), "tool_choice": _tool_choice, "parallel_tool_calls": boolean}),
    "json": _base({"output_schema": file_path}),
}


def _function(path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
    kind = value.get("type") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping):
        yield refused(path, "must be a table")
    elif not isinstance(kind, str) or kind not in FUNCTION_TYPES:
        yield refused((*path, "type"), "must be chat or json")
    else:
        yield from FUNCTION_TYPES[kind](path, value, around)


FUNCTIONS = TablesOf(_function, unreserved)
