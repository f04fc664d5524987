"""Gives entries of a project other names, and follows every reference to them. Pure.

Texts of templates are not looked into: a file that they include keeps its path.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from model_registry.gateways.tensorzero.importing.registry_entries import FILES, Key
from model_registry.gateways.tensorzero.project import BASE_PATH, Path, Project, as_table, put
from model_registry.gateways.tensorzero.reading.file_references import file_references

Names = Mapping[Key, str]
"""Entry -> its new name."""

_VARIANT: Path = ("functions", "*", "variants", "*")
_EVALUATORS: tuple[Path, ...] = tuple(
    (section, "*", "evaluators", "*", "variants", "*") for section in ("functions", "evaluations")
)
_CALLERS = tuple((*path, *inner) for path in (_VARIANT, *_EVALUATORS) for inner in ((), ("evaluator",), ("fuser",)))
"""What calls a model: variants of functions and evaluators, and what chooses or mixes in them."""

REFERENCES: tuple[tuple[Path, str], ...] = (
    *(((*caller, "model"), "models") for caller in _CALLERS),
    *(((*caller, "embedding_model"), "embedding_models") for caller in _CALLERS),
    *(((*caller, "extra_body", "*", "model_name"), "models") for caller in _CALLERS),
    *(((*caller, "extra_headers", "*", "model_name"), "models") for caller in _CALLERS),
    (("functions", "*", "tools", "*"), "tools"),
    (("functions", "*", "tool_choice", "specific"), "tools"),
    (("functions", "*", "experimentation", "metric"), "metrics"),
    (("functions", "*", "experimentation", "namespaces", "*", "metric"), "metrics"),
    (("evaluations", "*", "function_name"), "functions"),
    (("optimizers", "*", "function_name"), "functions"),
    (("optimizers", "*", "evaluation_name"), "evaluations"),
    (("optimizers", "*", "evaluator_names", "*"), "evaluations"),
    (("optimizers", "*", "metric_name"), "metrics"),
    (("optimizers", "*", "analysis_model"), "models"),
    (("optimizers", "*", "mutation_model"), "models"),
)  # fmt: skip
"""Every key whose value is the name of an entry, and the section of that; `*` matches any key or place in a list."""

_OF_DICL: tuple[tuple[Path, str], ...] = ((("model",), "models"), (("embedding_model",), "embedding_models"))
"""Of this type of optimizers alone: `model` of the others is the provider's name of one."""

_INSIDE = {"evaluation_name": "evaluations", "function_name": "functions", "model_name": "models"}
"""Names that the gateway makes of others: `tensorzero::evaluation_name::haiku::evaluator_name::short`."""


def renamed(project: Project, names: Names) -> Project:
    """Return the project with entries under new names."""
    tree = copy.deepcopy(project.tree)
    for path, value in list(file_references(tree)):
        if path != BASE_PATH and (FILES, str(value)) in names:
            put(tree, path, names[FILES, value])
    for pattern, section in REFERENCES:
        _follow(tree, pattern, section, names)
    for optimizer in as_table(tree.get("optimizers")).values():
        if as_table(optimizer).get("type") == "dicl":
            for pattern, section in _OF_DICL:
                _follow(optimizer, pattern, section, names)
    for (section, name), new in names.items():
        if section == "tools":
            tree[section][name].setdefault("name", name)  # the one that prompts and models know
        if section != FILES:
            tree[section] = {new if key == name else key: value for key, value in tree[section].items()}
    files = {names.get((FILES, path), path): content for path, content in project.files.items()}
    return replace(project, tree=tree, files=files)


def _follow(tree: Any, pattern: Path, section: str, names: Names) -> None:  # noqa: ANN401 (any TOML value)
    for parent, key in list(matches(tree, pattern)):
        value = parent[key]
        if isinstance(value, str) and (new := names.get((section, value)) or _inner(value, names)):
            parent[key] = new


def matches(value: Any, pattern: Path) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 (any TOML value)
    """Yield each place that a pattern matches: the table or list, and the key or index in it."""
    first, *rest = pattern
    if isinstance(value, dict):
        keys: list[Any] = list(value) if first == "*" else [first] if first in value else []
    else:
        keys = list(range(len(value))) if first == "*" and isinstance(value, list) else []
    for key in keys:
        if rest:
            yield from matches(value[key], tuple(rest))
        else:
            yield value, key


def _inner(text: str, names: Names) -> str | None:
    """Replace an entry's name inside of a name that the gateway makes of it."""
    parts = text.split("::")
    if parts[0] != "tensorzero" or len(parts) < 3:  # noqa: PLR2004 (tensorzero::KIND::NAME)
        return None
    new = names.get((_INSIDE.get(parts[1], ""), parts[2]))
    return "::".join([*parts[:2], new, *parts[3:]]) if new else None
