"""Makes the gateway's function table of a function and its mappings: variants, and their shares of the calls.

`function_views` lists the same for people.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from model_registry.entities.function import Function, Mapping
from model_registry.entities.json_types import Json
from model_registry.gateways.omission import Omission
from model_registry.gateways.tensorzero.project import Table, as_table
from model_registry.gateways.tensorzero.rendering.provider_tables import plain, section_of, why_left_out
from model_registry.gateways.tensorzero.rendering.routed_models import ModelEntry
from model_registry.gateways.tensorzero.rendering.variables import shorthand_needs
from model_registry.snapshot.snapshot import Snapshot

Role = Literal["candidate", "fallback", "pinned"]
"""Drawn by weight; tried in order after the candidates; used only when a request names it."""

FALLBACK_SUFFIX = "_fallback"


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant of a function."""

    name: str
    table: Table
    mapping: Mapping | None = None
    """Its row; None: from the function's own `tensorzero.variants`."""
    stands_in: bool = False
    """Whether it is made from its mapping's `fallback_model_id`."""


@dataclass(frozen=True, slots=True)
class FunctionVariants:
    """The variants of a function, in routing order, and those left out."""

    variants: tuple[Variant, ...]
    omissions: tuple[Omission, ...]
    faults: tuple[Omission, ...]
    """The omissions caused by contradicting rows."""


def function_variants(snapshot: Snapshot, function: Function) -> FunctionVariants:
    """Return the variants of a function's mappings, without those that the gateway cannot use."""
    mappings = snapshot.mappings.where("function", (function.service_name, function.function_name))
    by_name: dict[str, Variant] = {}
    omissions, faults = [], []
    planned = [(mapping, mapping.model_id, mapping.variant_name) for mapping in mappings]
    planned += [(m, m.fallback_model_id, f"{m.variant_name}{FALLBACK_SUFFIX}") for m in mappings if m.fallback_model_id]
    offered: list[Variant] = []
    for mapping, model_id, name in planned:
        if reason := why_mapping_left_out(snapshot, model_id):
            model = snapshot.models.get(model_id)
            refused = model is None or snapshot.providers.get(model.provider_id) is None
            omissions.append(Omission("variant", f"{function.name}.{name}", reason, switched_off=refused))
            continue
        stands_in = name != mapping.variant_name
        variant = Variant(name, variant_table(snapshot, mapping, model_id), mapping, stands_in)
        if not (stands_in and any(other.table == variant.table for other in offered)):
            offered.append(variant)
    offered += [Variant(name, plain(table)) for name, table in sorted(own_variants(function).items())]
    for variant in offered:
        if by_name.setdefault(variant.name, variant) is not variant:
            reason = "another variant of the function has this name already"
            faults.append(Omission("variant", f"{function.name}.{variant.name}", reason))
    return FunctionVariants(tuple(by_name.values()), (*omissions, *faults), tuple(faults))


def own_variants(function: Function) -> Table:
    """Return the variants without a model, which have no mapping."""
    variants = as_table(function.tensorzero.get("variants"))
    return {name: table for name, table in variants.items() if isinstance(table, dict)}


def why_mapping_left_out(snapshot: Snapshot, model_id: str) -> str | None:
    """Return why a variant cannot use this model, or None."""
    model = snapshot.models.get(model_id)
    if model is None:  # validation refuses it, or a variable is missing: it is listed with its reason
        return "its model is left out"
    if reason := why_left_out(model, snapshot.providers.get(model.provider_id)):
        return f"its model {model.name} is left out: {reason}"
    if section_of(model) != "models":
        return f"its model {model.name} is of type {model.model_type}, which no variant can use"
    return None


def variant_table(snapshot: Snapshot, mapping: Mapping, model_id: str) -> Table:
    """Make the gateway's variant table of a mapping, with this model."""
    extras = plain(mapping.tensorzero)
    kind = extras.get("type", "chat_completion")
    return {"type": kind, "model": snapshot.models[model_id].name} | {
        key: value for key, value in extras.items() if key not in {"type", "model"}
    }


def function_entry(snapshot: Snapshot, function: Function) -> ModelEntry:
    """Make the function's entry; an omission when no variant is left."""
    variants = function_variants(snapshot, function)
    if not variants.variants:
        useless = "none of its variants has a model that the gateway can use"
        reason = useless if variants.omissions else "it has no variant"
        off = all(omission.switched_off for omission in variants.omissions)
        nothing = Omission("function", function.name, reason, switched_off=off)
        return ModelEntry((), (nothing, *variants.omissions))
    table = function_table(function, variants.variants)
    needs = tuple(shorthand_needs(f"function {function.name}", table))
    return ModelEntry((("functions", function.name, table),), variants.omissions, variants.faults, needs)


def function_table(function: Function, variants: Sequence[Variant]) -> Table:
    """Make the gateway's function table with these variants."""
    table: Table = {"type": function.type}
    if function.description is not None:
        table["description"] = function.description
    extras = plain(function.tensorzero)
    table |= {k: v for k, v in extras.items() if k not in {"type", "description", "variants", "experimentation"}}
    experimentation = extras.get("experimentation") or generated_experimentation(variants)
    if experimentation and not _is_even(experimentation, variants):
        table["experimentation"] = experimentation
    return table | {"variants": {variant.name: variant.table for variant in variants}}


def generated_experimentation(variants: Iterable[Variant]) -> Table | None:
    """Let the best priority's variants share the calls by weight; the others follow in order, stand-ins last."""
    mapped = [(v.mapping, v) for v in variants if v.mapping is not None]
    regular = [(mapping, v) for mapping, v in mapped if not v.stands_in]
    if not mapped:
        return None
    best = min((mapping.priority for mapping, _ in regular), default=None)
    candidates = {v.name: float(mapping.weight) for mapping, v in regular if mapping.priority == best}
    fallbacks = [v.name for mapping, v in regular if mapping.priority != best]
    fallbacks += [v.name for _, v in mapped if v.stands_in]
    table: Table = {"type": "static", "candidate_variants": candidates}
    return table | ({"fallback_variants": fallbacks} if fallbacks else {})


def _is_even(experimentation: Json, variants: Sequence[Variant]) -> bool:
    """Whether it says what the gateway does without it: every variant is as likely as any other.

    Then it is left out, because gateways before 2026.3 refuse the type static.
    """
    table = as_table(experimentation)
    candidates, rest = table.get("candidate_variants"), table.keys() - {"type", "candidate_variants"}
    if table.get("type") != "static" or any(table[key] for key in rest):
        return False
    weights = dict.fromkeys(map(str, candidates), 1.0) if isinstance(candidates, list) else as_table(candidates)
    names = {variant.name for variant in variants if "weight" not in variant.table}
    numbers = [weight for weight in weights.values() if isinstance(weight, int | float)]
    is_all = weights.keys() == names == {variant.name for variant in variants} and len(numbers) == len(weights)
    return is_all and set(shares(weights).values()) == {1.0}


def shares(weights: dict[str, float]) -> dict[str, float]:
    """Return the weights, all 1 where they are equal: then they mean the same whatever they are."""
    alike = len({float(weight) for weight in weights.values()}) == 1 and min(weights.values()) > 0
    return dict.fromkeys(weights, 1.0) if alike else weights


def role_of(variant: str, experimentation: Json) -> Role:
    """Return a variant's role in an experimentation. Without one, all share the calls equally."""
    table = as_table(experimentation)
    named = [table.get(key) for key in ("candidate_variants", "fallback_variants")]
    candidates, fallbacks = (names if isinstance(names, dict | list) else [] for names in named)
    if variant in candidates or (not candidates and not fallbacks):
        return "candidate"
    return "fallback" if variant in fallbacks else "pinned"


_ROLES = ("candidate", "fallback", "pinned")


def function_views(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return every function of the configuration, with its variants in order of use."""
    rendered = ((function, function_variants(snapshot, function)) for function in snapshot.functions)
    return [_view(function, variants) for function, variants in rendered if variants.variants]


def _view(function: Function, variants_of: FunctionVariants) -> dict[str, Any]:
    experimentation = function_table(function, variants_of.variants).get("experimentation")
    variants = [_variant_view(variant, role_of(variant.name, experimentation)) for variant in variants_of.variants]
    return {
        "name": function.name,
        "service_name": function.service_name,
        "function_name": function.function_name,
        "type": function.type,
        "description": function.description,
        "variants": sorted(variants, key=lambda v: _ROLES.index(v["role"])),
    }


def _variant_view(variant: Variant, role: str) -> dict[str, Any]:
    return {
        "name": variant.name,
        "type": variant.table.get("type"),
        "model": variant.table.get("model"),
        "priority": variant.mapping.priority if variant.mapping else None,
        "weight": variant.mapping.weight if variant.mapping else None,
        "role": role,
    }
