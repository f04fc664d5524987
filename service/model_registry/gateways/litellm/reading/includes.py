"""Merges a configuration with those that it includes, as LiteLLM does. Pure.

Lists of the same top-level key are joined, any other value is replaced by the included one. Files are looked for next
to the one that names them, then next to the first; each counts once. Source: `config_includes.py`, LiteLLM 1.110.2.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from model_registry.errors import Reason
from model_registry.gateways.litellm.config import INCLUDE, Path, Table
from model_registry.gateways.litellm.reading.containers import FoundConfig, find_configs, the_config
from model_registry.gateways.litellm.reading.yaml_text import read_yaml


@dataclass(slots=True)
class Merged:
    """A configuration with what it includes."""

    tree: Table
    origins: dict[Path, tuple[FoundConfig, Path]]
    """Where each top-level key, and each item of a top-level list, comes from."""
    read: list[FoundConfig]
    """The configurations, in the order in which they are merged."""
    reasons: list[Reason]


def merged(root: FoundConfig, files: Mapping[str, str], beside: list[FoundConfig]) -> Merged:
    """Merge a configuration with what it includes.

    Args:
        root: the configuration.
        files: the texts that can be included, by their paths from the same root as `root.file`.
        beside: the other configurations of the same file, such as the other keys of a ConfigMap.
    """
    result = Merged({}, {}, [], [])
    near = {found.name: found for found in beside}
    _add(result, root)
    seen = {root.file}
    waiting = [(name, root) for name in _names(result, root)]
    while waiting:
        name, by = waiting.pop(0)
        path, found = _found(name, by, root, files, near)
        if path in seen:
            continue
        seen.add(path)
        if found is None:
            message = f"includes {name!r}, which is not among the files; give it with the others"
            result.reasons.append(Reason(by.place((INCLUDE,)), message))
            continue
        _add(result, found)
        waiting += [(inner, found) for inner in _names(result, found)]
    return result


def _names(result: Merged, found: FoundConfig) -> list[str]:
    value = found.tree.get(INCLUDE, [])
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        result.reasons.append(Reason(found.place((INCLUDE,)), "include must be a list of paths of files"))
        return []
    return value


def _found(
    name: str, by: FoundConfig, root: FoundConfig, files: Mapping[str, str], near: Mapping[str, FoundConfig]
) -> tuple[str, FoundConfig | None]:
    """Find an included file: next to the one that names it, next to the first, or in the same ConfigMap."""
    for file in (by.file, root.file):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(file), name))
        if path in files:
            return path, _included(path, files[path])
    key = posixpath.basename(name)
    return (f"{root.file}#{key}", near[key]) if key in near and near[key] is not by else (name, None)


def _included(path: str, text: str) -> FoundConfig:
    """Read an included file: any mapping will do, as it need not look like a configuration by itself."""
    documents = read_yaml(path, text)
    if len(documents) == 1 and isinstance(documents[0].value, dict) and "apiVersion" not in documents[0].value:
        return FoundConfig(path, path, (), documents[0].value, documents[0])
    return the_config(path, find_configs(path, text))


def _add(result: Merged, found: FoundConfig) -> None:
    result.read.append(found)
    for key, value in found.tree.items():
        if key == INCLUDE:
            continue
        before = result.tree.get(key)
        if isinstance(before, list) and isinstance(value, list):
            first, joined = len(before), [*before, *value]
        else:
            first, joined = 0, value
            for path in [path for path in result.origins if path[0] == key]:
                del result.origins[path]
        result.tree[key] = joined
        result.origins.setdefault((key,), (found, (key,)))
        for number in range(len(value) if isinstance(value, list) else 0):
            result.origins[key, str(first + number)] = (found, (key, str(number)))
