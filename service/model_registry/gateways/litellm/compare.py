"""Compares what two LiteLLM configurations mean to LiteLLM. Pure.

Every equivalence is listed here with its reason; all else is a difference: a lost key, another number, one more
deployment.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model_registry.gateways.litellm.config import MODEL_LIST, Table, as_table, dotted, order_of, variable_of
from model_registry.gateways.litellm.keys import is_no_key

_MISSING = object()

_DEFAULTS: Mapping[str, Any] = {
    "use_in_pass_through": False,
    "use_litellm_proxy": False,
    "merge_reasoning_content_in_choices": False,
    "allow_client_keepalive_override": False,
    "use_xai_oauth": False,
}
"""Of `litellm_params`; null, as good as absent, for all others. Source: `GenericLiteLLMParams`, LiteLLM 1.110.2."""
_INFO_DEFAULTS: Mapping[str, Any] = {"db_model": False, "member_auto_router": False}
"""Of `model_info`: `ModelInfo`."""

_MIRRORED = re.compile(
    r"(input|output)_cost_per_(token|character)|(explicit_)?cache_read_input_token_cost|tiered_pricing"
    r"|cache_creation_input_token_cost(_above_1hr|_above_12hr.*)?"
)
"""Prices that LiteLLM copies from `litellm_params` into `model_info`: `MirroredPricingParams`."""

FACTS = re.compile(
    r"id|mode|max_(input_|output_)?tokens|supports_.*|.*cost.*|tiered_pricing|provider_specific_entry|output_vector_size"
)
"""What the catalogue knows of a model, and may add to `model_info`."""

_ORDER = "order"
_ALIASES = "model_group_alias"


@dataclass(frozen=True, slots=True)
class Difference:
    """One key whose meaning differs."""

    where: str
    """`model_list.GROUP.NUMBER.litellm_params.rpm`; the number counts the group's deployments in a canonical order."""
    one: Any
    """The first configuration's value; None when it has none."""
    other: Any

    def __str__(self) -> str:
        return f"{self.where}: {self.one!r} -> {self.other!r}"


def compare(one: Table, other: Table, *, facts: bool = False) -> list[Difference]:
    """Return the differences in meaning of two configurations, with what they include merged in.

    Args:
        one: the first.
        other: the second.
        facts: whether the second may have facts of the catalogue in `model_info` that the first leaves to LiteLLM's own
            price map, and an id where LiteLLM would make one.
    """
    left, right = meaning(one), meaning(other)
    found = list(_differences((), _sections(left), _sections(right)))
    for group in sorted(left[MODEL_LIST].keys() | right[MODEL_LIST].keys()):
        before, after = left[MODEL_LIST].get(group, []), right[MODEL_LIST].get(group, [])
        found += _group_differences((MODEL_LIST, group), before, after, facts=facts)
    return found


def meaning(tree: Table) -> Table:
    """Return a configuration in one form: deployments by their group, defaults filled in, nothing empty.

    What means the same to LiteLLM: a key that is null and one that is not there; an empty section and none; the order
    of a group's deployments and of all entries; `order` 1 and 2, or 10 and 20, and none at all as the last of a group;
    the words for no API key; the two forms of an alias that is not hidden; a price in `litellm_params`, which it copies
    into `model_info`.
    """
    groups: dict[str, list[Table]] = defaultdict(list)
    listed = tree.get(MODEL_LIST)
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("litellm_params"), dict):
            groups[str(entry.get("model_name"))].append(_deployment(entry))
    for deployments in groups.values():
        _rank(deployments)
        deployments.sort(key=_canonical)
    sections = {name: _section(name, value) for name, value in tree.items() if name != MODEL_LIST}
    kept = {name: value for name, value in sections.items() if value not in (None, {}, [])}
    return {MODEL_LIST: dict(groups), **kept}


def _sections(whole: Table) -> Table:
    return {name: value for name, value in whole.items() if name != MODEL_LIST}


def _deployment(entry: Table) -> Table:
    params = dict(_DEFAULTS) | _given(entry["litellm_params"])
    info = dict(_INFO_DEFAULTS) | _given(as_table(entry.get("model_info")))
    info |= {key: value for key, value in params.items() if _MIRRORED.fullmatch(key)}
    if params.get("api_key") is not None and is_no_key(params["api_key"]):
        params["api_key"] = "none"
    if isinstance(params.get("max_retries"), str) and params["max_retries"].isdecimal():
        params["max_retries"] = int(params["max_retries"])  # as `preprocess_input_data` does
    if isinstance(info.get("id"), int):
        info["id"] = str(info["id"])
    stated, of_info = params.pop(_ORDER, None), info.pop(_ORDER, None)
    rest = {key: value for key, value in _given(entry).items() if key not in {"litellm_params", "model_info"}}
    return {
        **rest,
        "litellm_params": params,
        "model_info": info,
        _ORDER: order_of(of_info if stated is None else stated),
    }


def _rank(deployments: list[Table]) -> None:
    """Replace each `order` by its rank: the lowest is asked first, one without is asked when no other is left."""
    given = sorted({one[_ORDER] for one in deployments if one[_ORDER] is not None})
    ranks = {order: rank for rank, order in enumerate(given, 1)} | {None: len(given) + 1}
    alike = len({one[_ORDER] for one in deployments}) == 1
    for one in deployments:
        one[_ORDER] = None if alike else ranks[one[_ORDER]]


def _given(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    """Return a value without keys that are null."""
    match value:
        case dict():
            return {key: _given(item) for key, item in value.items() if item is not None}
        case list():
            return [_given(item) for item in value]
    return value


def _section(name: str, value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    value = _given(value)
    if name == "router_settings" and isinstance(value, dict) and isinstance(value.get(_ALIASES), dict):
        aliases = {alias: _alias(target) for alias, target in value[_ALIASES].items()}
        return {key: item for key, item in value.items() if key != _ALIASES} | ({_ALIASES: aliases} if aliases else {})
    if name == "environment_variables" and isinstance(value, dict):
        # LiteLLM sets texts; what names itself in the environment sets nothing.
        texts = {key: item if isinstance(item, str) else str(item) for key, item in value.items()}
        return {key: text for key, text in texts.items() if variable_of(text) != key}
    return value


def _alias(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    if isinstance(value, dict) and value.keys() <= {"model", "hidden"} and not value.get("hidden"):
        return value.get("model")
    return value


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _group_differences(
    path: tuple[str, ...], before: list[Table], after: list[Table], *, facts: bool
) -> Iterator[Difference]:
    """Compare two groups: equal deployments are paired first, then the most similar ones."""
    left = list(before)
    right = list(after)
    for one in before:
        match = next((other for other in right if not _of_pair((), one, other, facts=facts)), None)
        if match is not None:
            left.remove(one)
            right.remove(match)
    for number, one in enumerate(left):
        if not right:
            yield Difference(dotted((*path, str(number))), one, None)
            continue
        other = min(right, key=lambda candidate: len(_of_pair((), one, candidate, facts=facts)))
        right.remove(other)
        yield from _of_pair((*path, str(number)), one, other, facts=facts)
    for number, other in enumerate(right, len(left)):
        yield Difference(dotted((*path, str(number))), None, other)


def _of_pair(path: tuple[str, ...], one: Table, other: Table, *, facts: bool) -> list[Difference]:
    if facts:
        known, more = one["model_info"], other["model_info"]
        other = other | {"model_info": {k: more[k] for k in more if k in known or not FACTS.fullmatch(k)}}
    return list(_differences(path, one, other))


def _differences(path: tuple[str, ...], one: Any, other: Any) -> Iterator[Difference]:  # noqa: ANN401 (any JSON value)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted(one.keys() | other.keys()):
            yield from _differences((*path, key), one.get(key, _MISSING), other.get(key, _MISSING))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _differences((*path, str(index)), left, right)
    elif not _same(one, other):
        yield Difference(dotted(path), None if one is _MISSING else one, None if other is _MISSING else other)


def _same(one: Any, other: Any) -> bool:  # noqa: ANN401 (any JSON value)
    """Whether values are equal: 1 and 1.0 are, as for LiteLLM; 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)
