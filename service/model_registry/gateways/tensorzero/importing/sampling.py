"""How a function's variants share its calls: the gateway's words for it, in the registry's (priority and weight).

Source of the meaning: the gateway's experimentation module. Candidates are drawn by weight; when none is left, the
fallbacks follow in their order; a variant that is neither is never drawn. Old projects say it with a `weight` on each
variant: above 0 a candidate, none a fallback, 0 neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from model_registry.gateways.tensorzero.project import Table

Rank = tuple[int, float]
"""Priority (lower first) and weight."""

_BY_LISTS = {"static", "static_weights", "uniform"}
_STATIC_KEYS = {"type", "candidate_variants", "fallback_variants"}


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a function draws among its variants."""

    ranks: dict[str, Rank]
    """Of each variant that becomes a mapping; the nearest there is where `raw` says more."""
    raw: Table | None = None
    """The function's `experimentation`, where priorities and weights cannot say the same."""
    normalised: str = ""
    """What is said in other words than the project's."""


def uniform(names: Iterable[str]) -> dict[str, Rank]:
    """All variants alike."""
    return dict.fromkeys(names, (1, 1.0))


def read_sampling(function: Table, mapped: set[str]) -> Sampling:
    """What a function's table says about its variants, of which `mapped` become mappings."""
    variants: dict[str, Table] = function["variants"]
    said = function.get("experimentation")
    if said is None:
        weights = {name: variant["weight"] for name, variant in variants.items() if "weight" in variant}
        return _from_weights(variants, weights, mapped)
    kind = said["type"]
    if kind == "uniform" and said.keys() == {"type"}:
        return _all_alike(variants, mapped, "experimentation uniform -> all alike")
    if kind not in _BY_LISTS or not said.keys() & {"candidate_variants", "fallback_variants"}:
        return Sampling(_in_order(variants, uniform(mapped)), raw=said)
    words = f"experimentation {kind} -> static" if kind != "static" else ""
    return _said(variants, mapped, {"candidate_variants": [], **said, "type": "static"}, words)


def _from_weights(variants: dict[str, Table], weights: dict[str, float], mapped: set[str]) -> Sampling:
    if not weights:
        return _all_alike(variants, mapped)
    candidates = {name: float(weight) for name, weight in weights.items() if weight > 0}
    fallbacks = [name for name in variants if name not in weights]
    if not candidates and not fallbacks:
        return _all_alike(variants, mapped, "weights of nothing but 0 mean: all alike")
    words = "weight on variants -> experimentation"
    if len(fallbacks) > 1:
        words += "; those without a weight are fallbacks, in the order they are written"
    raw = {"type": "static", "candidate_variants": candidates, "fallback_variants": fallbacks}
    return _said(variants, mapped, raw, words)


def _all_alike(variants: dict[str, Table], mapped: set[str], words: str = "") -> Sampling:
    """Every variant has the same chance, also those that are no mappings: then it has to be said by name."""
    raw: Table | None = None
    if mapped and mapped != variants.keys():
        raw = {"type": "static", "candidate_variants": list(variants)}
        words = words or "no experimentation -> static, all variants alike"
    return Sampling(_in_order(variants, uniform(mapped)), raw, words)


def _said(variants: dict[str, Table], mapped: set[str], said: Table, words: str) -> Sampling:
    """By priorities and weights where every variant is a mapping and may be drawn; else as it is."""
    candidates = _weights(said["candidate_variants"])
    fallbacks: list[str] = said.get("fallback_variants", [])
    ranks = {name: (1, weight) for name, weight in candidates.items()}
    ranks |= {name: (priority, 1.0) for priority, name in enumerate(fallbacks, 2)}
    # Who is neither comes last and gets nothing: the nearest there is.
    nearest = {name: ranks.get(name, (len(fallbacks) + 2, 0.0)) for name in variants if name in mapped}
    if candidates and mapped == variants.keys() == ranks.keys() and not said.keys() - _STATIC_KEYS:
        return Sampling(nearest, normalised=words)
    return Sampling(nearest, raw=said, normalised=words)


def _weights(candidates: list[str] | dict[str, float]) -> dict[str, float]:
    if isinstance(candidates, list):
        return dict.fromkeys(candidates, 1.0)
    return {name: float(weight) for name, weight in candidates.items()}


def _in_order(variants: dict[str, Table], ranks: dict[str, Rank]) -> dict[str, Rank]:
    return {name: ranks[name] for name in variants if name in ranks}


def same_meaning(one: dict[str, Rank], other: dict[str, Rank]) -> bool:
    """Whether two rankings draw the same: the same candidates and weights, the same fallbacks in the same order."""
    return _drawn(one) == _drawn(other)


def _drawn(ranks: dict[str, Rank]) -> tuple[dict[str, float], list[str]]:
    best = min((priority for priority, _ in ranks.values()), default=0)
    rest = sorted((priority, -weight, name) for name, (priority, weight) in ranks.items() if priority > best)
    return {name: weight for name, (priority, weight) in ranks.items() if priority == best}, [r[2] for r in rest]
