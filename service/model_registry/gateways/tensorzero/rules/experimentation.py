"""Rules of a function's experimentation: its variants, weights and namespaces."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from model_registry.entities.json_types import Toml
from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import Path
from model_registry.gateways.tensorzero.rules.context import Surroundings
from model_registry.gateways.tensorzero.rules.shape import refused

_LISTED = ("candidate_variants", "fallback_variants")
_KEYS = {
    "static": {"type", *_LISTED, "namespaces"},
    "static_weights": {"type", *_LISTED, "namespaces"},
    "uniform": {"type", *_LISTED, "namespaces"},
}
"""Keys that the gateway reads; it ignores others here. Adaptive experiments have more, which are not checked."""

_TYPES = ("static", "adaptive", "static_weights", "uniform", "track_and_stop")


def experimentation(path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
    """Check an experimentation table by itself."""
    if not isinstance(value, Mapping):
        yield refused(path, "must be a table")
        return
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in _TYPES:
        yield refused((*path, "type"), f"must be one of {', '.join(_TYPES)}")
        return
    for key in value.keys() - _KEYS.get(kind, value.keys()):
        yield refused((*path, key), "is not a key of this table, and the gateway silently ignores it; remove it")
    if kind in {"static", "static_weights"}:
        yield from _weights(path, value)
    elif kind != "uniform":
        for key in ("metric", "candidate_variants"):
            if key not in value:
                yield refused(path, f"the key {key!r} is missing, and the gateway requires it; add it")
        if "metric" in value and not around.has("metrics", str(value["metric"])):
            yield refused(
                (*path, "metric"), f"the metric {value['metric']!r} is not in the configuration; add it under metrics"
            )


def _weights(path: Path, value: Mapping[str, Any]) -> Iterator[Reason]:
    here = (*path, "candidate_variants")
    candidates = value.get("candidate_variants")
    if not isinstance(candidates, Mapping | list):
        yield refused(here, "must be a table of variants and weights, or a list of variants")
        return
    weights = candidates if isinstance(candidates, Mapping) else dict.fromkeys(map(str, candidates), 1.0)
    bad = [name for name, weight in weights.items() if not _is_weight(weight)]
    for name in bad:
        yield refused((*here, name), "must be a number from 0 up, neither nan nor infinite")
    if not bad and not any(weights.values()) and not value.get("fallback_variants"):
        yield refused(
            here, "no variant could ever be used: every weight is 0 and there is no fallback; give one a weight"
        )


def _is_weight(value: Toml) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def sampling_rules(path: Path, function: Mapping[str, Any], around: Surroundings) -> Iterator[Reason]:
    """Check experimentation and variants together."""
    variants, table = function.get("variants"), function.get("experimentation")
    if not isinstance(variants, Mapping):
        return
    here = (*path, "experimentation")
    if not isinstance(table, Mapping):
        yield from _reach(here, variants, variants, None, around)
        return
    for name in sorted(name for name, v in variants.items() if isinstance(v, Mapping) and "weight" in v):
        message = "cannot stand beside experimentation; remove it, and give the weight there"
        yield refused((*path, "variants", name, "weight"), message)
    yield from _names(here, table, variants)
    yield from _reach(here, _reached(table, variants), variants, None, around)
    namespaces = table.get("namespaces", {})
    if not isinstance(namespaces, Mapping):
        yield refused((*here, "namespaces"), "must be a table")
        return
    for space, inner in namespaces.items():
        inner_path = (*here, "namespaces", space)
        yield from experimentation(inner_path, inner, around)
        if isinstance(inner, Mapping):
            yield from _names(inner_path, inner, variants)
            yield from _reach(inner_path, _reached(inner, variants), variants, space, around)


def _names(path: Path, table: Mapping[str, Any], variants: Mapping[str, Any]) -> Iterator[Reason]:
    lists = {key: _listed(table.get(key)) for key in _LISTED}
    for key, names in lists.items():
        for name in names:
            if not isinstance(name, str) or name not in variants:
                yield refused((*path, key), f"the function has no variant {name!r}; add it, or take it out here")
            elif names.count(name) > 1:
                yield refused((*path, key), f"names {name!r} more than once; take it out once")
    for name in lists["fallback_variants"]:
        if name in lists["candidate_variants"]:
            yield refused((*path, "fallback_variants"), f"{name!r} is a candidate already; take it out of one of them")


def _listed(value: Toml) -> list[Any]:
    return list(value) if isinstance(value, Mapping | list) else []


def _reached(table: Mapping[str, Any], variants: Mapping[str, Any]) -> Iterable[Any]:
    named = [name for key in _LISTED for name in _listed(table.get(key))]
    return named or variants


def _reach(
    path: Path, reached: Iterable[Any], variants: Mapping[str, Any], space: str | None, around: Surroundings
) -> Iterator[Reason]:
    """Check that variants with a namespace, their own or their model's, are used only in that namespace."""
    for name in reached:
        table = variants.get(name) if isinstance(name, str) else None
        if not isinstance(table, Mapping):
            continue
        model = table.get("model")
        model_table = around.model(model) if isinstance(model, str) else None
        for owner in (table, model_table):
            required = owner.get("namespace") if isinstance(owner, Mapping) else None
            if required not in (None, space):
                message = f"reaches the variant {name!r}, which belongs to the namespace {required!r}; take it out here"
                yield refused(path, message)
