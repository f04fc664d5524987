"""The rules for a LiteLLM configuration: what it refuses, and what it accepts and then ignores or never uses. Pure.

Faults end the proxy's start, lose a deployment without a word, or put a secret into a file. Everything else that
LiteLLM accepts is a warning: people have run such configurations for years. Source: its code, 1.106.12 and 1.110.2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from model_registry.entities.secret_text import find_secrets
from model_registry.errors import Reason
from model_registry.gateways.litellm.config import (
    INCLUDE,
    MODEL_LIST,
    SECTIONS,
    Table,
    as_table,
    dotted,
    order_of,
    variable_of,
)
from model_registry.gateways.litellm.validation.parts import Part, Parts

_NOT_OF_THE_ROUTER = ("health_check_interval", "health_check_concurrency")
"""LiteLLM ends its start on these in `router_settings`."""
_WHOLE = {
    "order": "LiteLLM takes the lowest order that is given, and asks the others only while those are down",
    "weight": "LiteLLM takes 0 where none is given, and never asks the others",
    "rpm": "LiteLLM takes it for a weight, and 0 where none is given, and never asks the others",
}
"""Parameters that all of a group must have, or of those of one order, and what happens otherwise."""
_KEYS = frozenset({"api_key", "aws_secret_access_key", "aws_session_token", "azure_ad_token", "client_secret"})
_FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
_SETTINGS = ("router_settings", "litellm_settings")


@dataclass(frozen=True, slots=True)
class Checked:
    """What the rules find."""

    faults: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()


def check(parts: Parts) -> Checked:
    """Check a configuration."""
    faults = [reason for number, part in enumerate(parts.entries) for reason in _entry_faults(number, part.entry)]
    faults = faults or [*_repeated_ids(parts.entries), *_settings_faults(parts.tree)]
    if faults:
        return Checked(tuple(faults))
    groups = _groups(parts.entries)
    warnings = [*_unknown_sections(parts.tree), *_uneven(groups), *_leading_nowhere(parts.tree, groups)]
    return Checked(warnings=tuple(warnings))


def _entry_faults(number: int, entry: object) -> Iterator[Reason]:
    where = (MODEL_LIST, str(number))
    if not isinstance(entry, dict):
        yield Reason(dotted(where), "must be a mapping with model_name and litellm_params")
        return
    name, params = entry.get("model_name"), entry.get("litellm_params")
    if not isinstance(name, str) or not name:
        yield Reason(dotted(where), "has no model_name: LiteLLM ends its start on it")
    if not isinstance(params, dict) or not isinstance(params.get("model"), str) or not params["model"]:
        yield Reason(dotted((MODEL_LIST, str(name))), "has no litellm_params.model: LiteLLM ends its start on it")
        return
    for key in sorted(_KEYS & params.keys()):
        value = params[key]
        if isinstance(value, str) and variable_of(value) is None and find_secrets(value):
            instead = "write os.environ/NAME, and set that variable where LiteLLM runs"
            yield Reason(dotted((MODEL_LIST, str(name), "litellm_params", key)), f"is a key itself: {instead}")


def _groups(parts: Iterable[Part]) -> dict[str, list[Table]]:
    groups: dict[str, list[Table]] = {}
    for part in parts:
        groups.setdefault(part.entry["model_name"], []).append(part.entry["litellm_params"])
    return groups


def _repeated_ids(parts: Iterable[Part]) -> Iterator[Reason]:
    ids = Counter(
        str(found) for part in parts if (found := as_table(part.entry.get("model_info")).get("id")) is not None
    )
    for name, number in ids.items():
        if number > 1:
            yield Reason(MODEL_LIST, f"the id {name} is that of {number} entries: LiteLLM loses all but one of them")


def _settings_faults(tree: Table) -> Iterator[Reason]:
    for name in ("router_settings", "litellm_settings", "general_settings", "environment_variables"):
        if tree.get(name) is not None and not isinstance(tree[name], dict):
            yield Reason(name, "must be a mapping")
    router = as_table(tree.get("router_settings"))
    for key in _NOT_OF_THE_ROUTER:
        if key in router:
            yield Reason(f"router_settings.{key}", "LiteLLM ends its start on it: it belongs to general_settings")
    for section in _SETTINGS:
        for key in _FALLBACKS:
            entries = as_table(tree.get(section)).get(key) or []
            if not isinstance(entries, list) or any(not isinstance(one, dict) or len(one) != 1 for one in entries):
                yield Reason(f"{section}.{key}", "must be a list of mappings from one model to a list of models")


def _unknown_sections(tree: Table) -> Iterator[Reason]:
    for name in tree:
        if name not in SECTIONS and name != INCLUDE:
            yield Reason(str(name), "LiteLLM ignores this section: it knows none of this name")


def _uneven(groups: dict[str, list[Table]]) -> Iterator[Reason]:
    for name, members in groups.items():
        if len(members) > 1:
            yield from _uneven_in(name, members, "order")
            for level in {order_of(member.get("order")) for member in members}:
                alike = [member for member in members if order_of(member.get("order")) == level]
                weighted = any(member.get("weight") is not None for member in alike)
                yield from _uneven_in(name, alike, "weight" if weighted else "rpm")


def _uneven_in(name: str, members: list[Table], key: str) -> Iterator[Reason]:
    given = sum(member.get(key) is not None for member in members)
    if 0 < given < len(members):
        yield Reason(dotted((MODEL_LIST, name)), f"{given} of {len(members)} entries have {key}: {_WHOLE[key]}")


def _leading_nowhere(tree: Table, groups: dict[str, list[Table]]) -> Iterator[Reason]:
    router = as_table(tree.get("router_settings"))
    aliases = as_table(router.get("model_group_alias"))
    names = {*groups, *map(str, aliases), *_of_routing_groups(router)}
    patterns = [name for name in groups if "*" in name]

    def is_there(name: object) -> bool:
        return isinstance(name, str) and (name in names or any(_fits(name, pattern) for pattern in patterns))

    for alias, target in aliases.items():
        to = target.get("model") if isinstance(target, dict) else target
        if not is_there(to):
            yield Reason(f"router_settings.model_group_alias.{alias}", f"leads to {to}, and no model has this name")
    for section in _SETTINGS:
        settings = as_table(tree.get(section))
        for key in _FALLBACKS:
            for entry in settings.get(key) or []:
                for name, targets in entry.items():
                    lost = [one for one in (name, *_names(targets)) if one != "*" and not is_there(one)]
                    yield from (Reason(f"{section}.{key}", f"names {one}, and no model has this name") for one in lost)
        for name in _names(settings.get("default_fallbacks")):
            if not is_there(name):
                yield Reason(f"{section}.default_fallbacks", f"names {name}, and no model has this name")


def _of_routing_groups(router: Table) -> Iterator[str]:
    groups = router.get("routing_groups")
    for group in groups if isinstance(groups, list) else ():
        if isinstance(group, dict) and isinstance(group.get("group_name"), str):
            yield group["group_name"]


def _names(targets: object) -> Iterator[str]:
    for target in targets if isinstance(targets, list) else ():
        name = target.get("model") if isinstance(target, dict) else target
        if isinstance(name, str):
            yield name


def _fits(name: str, pattern: str) -> bool:
    start, _, end = pattern.partition("*")
    return name.startswith(start) and name.endswith(end.rpartition("*")[2])
