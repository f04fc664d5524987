"""Makes everything of a configuration that is no model: the sections, and in `router_settings` the aliases. Pure.

What the sections say is passed on as it is, even where it leads nowhere: LiteLLM takes it, and `validation/` warns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from model_registry.entities.config import ConfigSection
from model_registry.entities.json_types import Json
from model_registry.entities.model import Alias
from model_registry.gateways.litellm.config import MODEL_LIST, OLDER_SECTIONS, SECTIONS, Table, as_table
from model_registry.gateways.litellm.rendering.left_out import section_left_out
from model_registry.gateways.omission import Omission
from model_registry.snapshot.snapshot import Snapshot

ROUTER_SETTINGS, ALIASES = "router_settings", "model_group_alias"
VALUE = "litellm_value"
"""The key of a section whose value in the configuration is no mapping."""
CONTEXTS = frozenset({None, "default", "litellm"})
"""Contexts in which an alias is also a name in LiteLLM."""

FAILOVER, MOST_FALLBACKS = "enable_weighted_failover", "max_fallbacks"
_USUAL_MOST_FALLBACKS = 5
"""How often a request turns to another deployment at most, unless `max_fallbacks` says it: `ROUTER_MAX_FALLBACKS`."""


@dataclass(frozen=True, slots=True)
class Groups:
    """What the rest of a configuration may refer to."""

    names: Collection[str]
    largest_shared: int = 0
    """Members of the largest group in which a failure must lead to another member; 0: there is none."""


@dataclass(slots=True)
class Settings:
    """The top-level keys of a configuration, without the model groups."""

    tree: Table = field(default_factory=dict)
    """Other keys than `model_list`, by name."""
    entries: list[Json] = field(default_factory=list)
    """Entries of `model_list` that are no rows."""
    omissions: list[Omission] = field(default_factory=list)


def settings(snapshot: Snapshot, groups: Groups, *, own: bool) -> Settings:
    """Make the settings; `own`: whether the sections are LiteLLM's, and not those of a gateway of another kind."""
    made = Settings()
    for section in sorted(snapshot.sections, key=lambda section: section.name):
        value = value_of(section)
        if section.name == MODEL_LIST and isinstance(value, list):
            made.entries = value
        elif own or section.name in SECTIONS | OLDER_SECTIONS:
            made.tree[section.name] = value
        else:
            made.omissions += section_left_out(section)
    if router := _router_settings(snapshot, made, groups):
        made.tree[ROUTER_SETTINGS] = router
    made.tree = dict(sorted(made.tree.items()))
    return made


def value_of(section: ConfigSection) -> Json:
    """Return what stands in the configuration under the section's name."""
    return section.value[VALUE] if section.value.keys() == {VALUE} else section.value


def _router_settings(snapshot: Snapshot, made: Settings, groups: Groups) -> Table:
    tree = dict(as_table(made.tree.get(ROUTER_SETTINGS)))
    given = as_table(tree.get(ALIASES))
    kept = {str(entry.get("model_name")) for entry in made.entries if isinstance(entry, dict)}
    aliases = dict(_aliases(snapshot, groups, made, kept | given.keys())) | given
    if aliases:
        tree[ALIASES] = dict(sorted(aliases.items()))
    if groups.largest_shared > 1:
        tree.setdefault(FAILOVER, True)
        if groups.largest_shared > _USUAL_MOST_FALLBACKS + 1:
            tree.setdefault(MOST_FALLBACKS, groups.largest_shared - 1)
    return tree


def _aliases(snapshot: Snapshot, groups: Groups, made: Settings, given: Collection[str]) -> Iterator[tuple[str, str]]:
    for alias in snapshot.aliases:
        if alias.context not in CONTEXTS or alias.alias in given:
            continue
        model = snapshot.models.get(alias.model_id)
        if model is not None and model.name == alias.alias:
            continue
        reason = _why_no_alias(alias, model.name if model else None, groups)
        if reason is None and model is not None:
            yield alias.alias, model.name
        else:
            made.omissions.append(Omission("alias", alias.alias, reason or "", switched_off=model is None))


def _why_no_alias(alias: Alias, name: str | None, groups: Groups) -> str | None:
    if name is None:
        return "its model is left out, because validation refuses it"
    if name not in groups.names:
        return f"its model {name} is left out"
    return f"a model or a function has this name, so it is no name of {name}" if alias.alias in groups.names else None
