"""Lists the functions of a configuration for people, with their variants in order of use. Renders no TOML."""

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
