"""Rules of how a function's variants share the calls: its `experimentation`, and what that says of its namespaces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from model_registry.entities.json_types import Toml
from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import Path
from model_registry.gateways.tensorzero.rules.shape import (
    Surroundings,
    TableOf,
    anything,
    integer,
    is_number,
    list_of,
    not_negative,
    one_of,
    only,
    refused,
    text,
)

_LISTED = ("candidate_variants", "fallback_variants")
STATIC, ADAPTIVE = ("static", "static_weights", "uniform"), ("adaptive", "track_and_stop")
"""The types. Those of `ADAPTIVE` learn from feedback, and need Postgres: a gateway without one refuses them."""

_STATIC = TableOf(dict.fromkeys(("type", *_LISTED, "namespaces"), anything), silent=True)
_LEAST_SAMPLES, _MOST_SAMPLES = 10, 10_000
"""The gateway's defaults of `min_samples_per_variant` and `max_samples_per_variant`."""


def _samples(path: Path, table: Mapping[str, Any], _: Surroundings) -> Iterator[Reason]:
    least = table.get("min_samples_per_variant", _LEAST_SAMPLES)
    most = table.get("max_samples_per_variant", _MOST_SAMPLES)
    if isinstance(least, int) and isinstance(most, int) and most < least:
        message = f"is {most}, less than min_samples_per_variant ({least}); raise it, or lower that"
        yield refused((*path, "max_samples_per_variant"), message)


def _shares(path: Path, table: Mapping[str, Any], _: Surroundings) -> Iterator[Reason]:
    share, count = table.get("min_prob"), len(_listed(table.get("candidate_variants")))
    if is_number(share) and share * count > 1 + 1e-9:
        message = f"times the {count} candidates is more than 1; lower it to {1 / count:.4g} at most"
        yield refused((*path, "min_prob"), message)


def _metric(path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
    if not isinstance(value, str) or not around.has("metrics", value):
        yield refused(path, f"the metric {value!r} is not in the configuration; add it under metrics")


_ADAPTIVE = TableOf(
    {
        "type": text,
        "namespaces": anything,
        "algorithm": one_of("track_and_stop"),
        "metric": _metric,
        "candidate_variants": only(
            lambda value: isinstance(value, list) and len(value) > 0,
            "must be a list of variants, not empty: the gateway learns their shares by itself",
        ),
        "fallback_variants": list_of(text),
        "min_samples_per_variant": integer(1),
        "max_samples_per_variant": integer(),
        "delta": only(lambda value: is_number(value) and 0 < value < 1, "must be a number between 0 and 1"),
        "epsilon": not_negative,
        "min_prob": not_negative,
        "update_period_s": integer(),
    },
    frozenset({"metric", "candidate_variants"}),
    (_samples, _shares),
    silent=True,
)
"""Measured against 2026.6.0, whose own check of these runs before it looks for Postgres."""


def experimentation(path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
    """Check an experimentation table by itself."""
    if not isinstance(value, Mapping):
        yield refused(path, "must be a table")
        return
    kind = value.get("type")
    if kind in ADAPTIVE:
        yield from _ADAPTIVE(path, value, around)
    elif kind in STATIC:
        yield from _STATIC(path, value, around)
        if kind == "static_weights" and isinstance(value.get("candidate_variants"), list):
            yield refused(
                (*path, "candidate_variants"), 'must be a table of variants and weights; or write type = "static"'
            )
        elif kind != "uniform":
            yield from _weights(path, value, around)
    else:
        yield refused((*path, "type"), f"must be one of {', '.join((*STATIC, *ADAPTIVE))}")


def _weights(path: Path, value: Mapping[str, Any], around: Surroundings) -> Iterator[Reason]:
    here = (*path, "candidate_variants")
    candidates = value.get("candidate_variants")
    if not isinstance(candidates, Mapping | list):
        yield refused(here, "must be a table of variants and weights, or a list of variants")
        return
    weights = candidates if isinstance(candidates, Mapping) else dict.fromkeys(map(str, candidates), 1.0)
    bad = [fault for name, weight in weights.items() for fault in not_negative((*here, name), weight, around)]
    yield from bad
    if not bad and not any(weights.values()) and not value.get("fallback_variants"):
        yield refused(
            here, "no variant could ever be used: every weight is 0 and there is no fallback; give one a weight"
        )


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
            if "namespaces" in inner:
                message = "is inside a namespace, where the gateway silently ignores it; move it up, or remove it"
                yield refused((*inner_path, "namespaces"), message)
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
