"""A parsed TensorZero project: its tables, and the file of each key. Reading and rules are in their own packages."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import tomli

from model_registry.errors import InvalidConfiguration, Reason

Table = dict[str, Any]
Path = tuple[str, ...]
"""A key's path from the top of the configuration: ("models", "gpt", "routing")."""

MODEL_TABLES = ("models", "embedding_models")
MODELLED = frozenset({*MODEL_TABLES, "functions"})
"""Top-level tables whose entries become rows; the others are stored whole, as sections."""

SECTIONS = frozenset({
    "gateway", "clickhouse", "postgres", "rate_limiting", "object_storage", "metrics", "tools", "evaluations",
    "provider_types", "optimizers", "autopilot",
})  # fmt: skip
"""The other top-level tables that the gateway knows. Source: its own error text, 2026.6.0."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dotted(path: Path) -> str:
    """Write a path in TOML's notation: `models."qwen2.5".routing`."""
    return ".".join(key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False) for key in path)


def undotted(text: str) -> Path:
    """Parse a path written by `dotted`."""
    try:
        here: Any = tomli.loads(f"{text} = 0")
    except tomli.TOMLDecodeError:
        return ()
    path: Path = ()
    while isinstance(here, dict):
        ((key, here),) = here.items()
        path += (key,)
    return path


@dataclass(frozen=True, slots=True)
class Project:
    """All files of a project, merged into one tree of JSON values."""

    texts: Mapping[str, str]
    """All files read, TOML and others: path -> text."""
    trees: Mapping[str, Table]
    """The tables of each TOML file."""
    tree: Table
    """All TOML files merged, in current syntax, with paths relative to the project's root."""
    files: Mapping[str, str] = field(default_factory=dict)
    """The files that the tree references: path from the root -> content."""
    rewritten: tuple[tuple[str, str], ...] = ()
    """Syntax that the tree replaces: key or file, and the replacement."""

    def table(self, name: str) -> Table:
        """Return a top-level table, empty when the project has none."""
        table: Table = self.tree.get(name, {})
        return table

    @property
    def sections(self) -> dict[str, Table]:
        """The top-level tables that the registry stores without modelling them."""
        return {name: table for name, table in self.tree.items() if name not in MODELLED}

    def locate(self, path: Path) -> str:
        """Locate a key for a message: `tensorzero.toml: models.gpt.routing`.

        A missing key is attributed to the file with the longest part of its path.
        """
        file = max(self.trees, key=lambda name: _depth(self.trees[name], path), default="")
        return f"{file}: {dotted(path)}" if path else file


def _depth(tree: Table, path: Path) -> int:
    here: Any = tree
    for depth, key in enumerate(path):
        if not isinstance(here, dict) or key not in here:
            return depth
        here = here[key]
    return len(path)


@dataclass(slots=True)
class Problems:
    """Collects a project's problems, so that one run reports them all."""

    project: Project
    reasons: list[Reason] = field(default_factory=list)

    def add(self, path: Path, message: str) -> None:
        """Add a problem of a key."""
        self.reasons.append(Reason(self.project.locate(path), message))

    def stop_if_any(self) -> None:
        """Refuse the project if it has problems."""
        refuse(self.reasons)


def refuse(reasons: list[Reason]) -> None:
    """Raise `InvalidConfiguration` if there are any reasons."""
    if reasons:
        what = str(reasons[0]) if len(reasons) == 1 else f"{len(reasons)} problems"
        raise InvalidConfiguration(f"The project cannot be imported: {what}", reasons=reasons)
