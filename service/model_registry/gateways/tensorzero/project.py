"""A TensorZero project as it was read: its tables, and where each key was written. No reading, no rules."""

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
"""A key of the configuration, from the top: ("models", "gpt", "routing")."""

MODEL_TABLES = ("models", "embedding_models")
MODELLED = frozenset({*MODEL_TABLES, "functions"})
"""The top-level tables that become rows of their own; the others stay whole, as sections."""

SECTIONS = frozenset({
    "gateway", "clickhouse", "postgres", "rate_limiting", "object_storage", "metrics", "tools", "evaluations",
    "provider_types", "optimizers", "autopilot",
})  # fmt: skip
"""The other top-level tables that the gateway knows. Source: its own error text, 2026.6.0."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dotted(path: Path) -> str:
    """A key as TOML writes it: `models."qwen2.5".routing`."""
    return ".".join(key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False) for key in path)


def undotted(text: str) -> Path:
    """The key that `dotted` wrote."""
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
    """All files of a project as one tree of JSON values."""

    texts: Mapping[str, str]
    """What was read, TOML and other files: path -> text."""
    trees: Mapping[str, Table]
    """Each file by itself."""
    tree: Table
    """The files merged, in today's syntax, the paths in it relative to the project's root."""
    files: Mapping[str, str] = field(default_factory=dict)
    """What the tree refers to: path from the root -> content."""
    said: tuple[tuple[str, str], ...] = ()
    """What the tree says in other words than the project: where, and which."""

    def table(self, name: str) -> Table:
        """A top-level table, empty when the project has none."""
        table: Table = self.tree.get(name, {})
        return table

    @property
    def sections(self) -> dict[str, Table]:
        """The top-level tables that the registry keeps without modelling them."""
        return {name: table for name, table in self.tree.items() if name not in MODELLED}

    def place(self, path: Path) -> str:
        """Where a key was written, for a message: `tensorzero.toml: models.gpt.routing`.

        A key that is missing is looked for in the file that has most of the way to it.
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
    """What is wrong with a project: collected, so that one run names it all."""

    project: Project
    reasons: list[Reason] = field(default_factory=list)

    def add(self, path: Path, message: str) -> None:
        """Note what is wrong with a key."""
        self.reasons.append(Reason(self.project.place(path), message))

    def stop_if_any(self) -> None:
        """Refuse the project if anything is wrong with it."""
        refuse(self.reasons)


def refuse(reasons: list[Reason]) -> None:
    """Raise `InvalidConfiguration` with these reasons, if there are any."""
    if reasons:
        what = str(reasons[0]) if len(reasons) == 1 else f"{len(reasons)} problems"
        raise InvalidConfiguration(f"The project cannot be imported: {what}", reasons=reasons)
