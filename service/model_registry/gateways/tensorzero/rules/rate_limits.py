"""Rules of `[rate_limiting]`: scopes, limits and priorities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from model_registry.entities.json_types import Toml
from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import Path
from model_registry.gateways.tensorzero.rules.shape import (
    Shape,
    Surroundings,
    TableOf,
    boolean,
    integer,
    is_number,
    list_of,
    one_of,
    only,
    refused,
    text,
)

_RESOURCES = ("model_inferences", "tokens", "cost")
_INTERVALS = ("second", "minute", "hour", "day", "week", "month")
_EACH, _TOTAL, _RESERVED = "tensorzero::each", "tensorzero::total", "tensorzero::"
_MOST_COST = (2**63 - 1) / 10**9
"""The gateway keeps costs as whole billionths."""
_PUBLIC_ID = 12
"""Characters in the public part of a gateway's API key."""


def _amount(shape: Shape) -> Shape:
    """Make the shape of a limit: an amount per interval, or a bucket with capacity and refill rate."""
    bucket = TableOf({"capacity": shape, "refill_rate": shape}, frozenset({"capacity", "refill_rate"}))

    def check(path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
        yield from (bucket if isinstance(value, Mapping) else shape)(path, value, around)

    return check


def _tag_value(path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
    yield from text(path, value, around)
    if isinstance(value, str) and value.startswith(_RESERVED) and value not in {_EACH, _TOTAL}:
        yield refused(path, f"must be {_EACH}, {_TOTAL} or a value without 'tensorzero::' at its start")


_key_id = only(
    lambda value: (
        value == _EACH or (isinstance(value, str) and len(value) == _PUBLIC_ID and not value.startswith(_RESERVED))
    ),
    f"must be {_EACH} or the {_PUBLIC_ID} characters of an API key's public id",
)
_TAG = TableOf({"tag_key": text, "tag_value": _tag_value}, frozenset({"tag_key", "tag_value"}), silent=True)
_KEY = TableOf({"api_key_public_id": _key_id}, frozenset({"api_key_public_id"}), silent=True)


def _scope(path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
    if isinstance(value, Mapping) and "tag_key" in value:
        yield from _TAG(path, value, around)
    elif isinstance(value, Mapping) and "api_key_public_id" in value:
        yield from _KEY(path, value, around)
    else:
        yield refused(path, "must be a table with tag_key and tag_value, or with api_key_public_id")


def _is_ignored(key: str) -> bool:
    """Whether the gateway ignores an unknown key of a rule: it reads every key with `_per_` as a limit."""
    return "_per_" not in key


def _order(path: Path, rule: Mapping[str, Any], _: Surroundings) -> Iterator[Reason]:
    always = rule.get("always") is True
    if always == ("priority" in rule):
        yield refused(path, "needs either a priority or always = true")


_COUNTED = {f"{resource}_per_{interval}": resource for resource in _RESOURCES for interval in _INTERVALS}

_cost = only(
    lambda value: is_number(value) and 0 <= value < _MOST_COST,
    f"must be a number from 0 to {int(_MOST_COST)}: the gateway refuses to load more",
)
_RULE = TableOf(
    {
        **{key: _amount(_cost if resource == "cost" else integer()) for key, resource in _COUNTED.items()},
        "scope": list_of(_scope),
        "always": boolean,
        "priority": integer(),
    },
    rules=(_order,),
    silent=_is_ignored,
)


def _one_rule_a_scope(path: Path, section: Mapping[str, Any], _: Surroundings) -> Iterator[Reason]:
    rules = section.get("rules")
    seen: list[Any] = []
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        scope = rule.get("scope", []) if isinstance(rule, Mapping) else None
        if isinstance(scope, list) and (known := sorted(map(repr, scope))) in seen:
            yield refused((*path, "rules", str(index), "scope"), "is that of an earlier rule; put both into one")
        elif isinstance(scope, list):
            seen.append(known)


RATE_LIMITING = TableOf(
    {
        "enabled": boolean,
        "backend": one_of("auto", "postgres", "valkey"),
        "default_cost": _cost,
        "rules": list_of(_RULE),
    },
    rules=(_one_rule_a_scope,),
    silent=True,
)
