"""Makes models of wildcards, from names that the caller found in a price map or at a server. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from model_registry.gateways.litellm.config import Entry, LitellmConfig
from model_registry.gateways.litellm.importing.names import STAR


def expanded(config: LitellmConfig, names: Mapping[str, Sequence[str]]) -> LitellmConfig:
    """Return a configuration with an entry more for each name: the wildcard with the name in place of its `*`.

    The wildcards stay: LiteLLM prefers the whole name. Groups that the configuration has already get no entry.

    Args:
        config: the configuration.
        names: model_name of a wildcard -> what to put in place of the `*`.
    """
    groups = {entry.model_name for entry in config.entries}
    found: dict[str, Entry] = {}
    for entry in config.entries:
        for name in names.get(entry.model_name, ()):
            called = entry.model_name.replace(STAR, name)
            if STAR in entry.model_name and called not in groups and called not in found:
                params = entry.params | {"model": entry.model.replace(STAR, name)}
                found[called] = replace(entry, model_name=called, params=params)
    return replace(config, entries=(*config.entries, *found.values())) if found else config
