"""The functions of a configuration as a list for people: which variants there are, and in which order they are used."""

from __future__ import annotations

from typing import Any

from model_registry.entities.function import Function
from model_registry.gateways.tensorzero.rendering.function_tables import (
    FunctionVariants,
    Variant,
    function_table,
    function_variants,
    role_of,
)
from model_registry.snapshot.snapshot import Snapshot

_ROLES = ("candidate", "fallback", "pinned")


def function_views(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Every function that is in the configuration, with its variants in the order in which they are used."""
    found = ((function, function_variants(snapshot, function)) for function in snapshot.functions)
    return [_view(function, variants) for function, variants in found if variants.variants]


def _view(function: Function, found: FunctionVariants) -> dict[str, Any]:
    experimentation = function_table(function, found.variants).get("experimentation")
    variants = [_variant_view(variant, role_of(variant.name, experimentation)) for variant in found.variants]
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
