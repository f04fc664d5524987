"""A parsed TensorZero project: its tables, keys and paths. Pure; reading and rules are in their own packages.

Paths are relative to the project's root, the directory of the rendered `tensorzero.toml`.
"""

from __future__ import annotations

import json
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any

import tomli

from model_registry.errors import InvalidConfiguration, Reason
from model_registry.file_paths import CONFIG_FILE, path_problem

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


def as_table(value: Any) -> Table:  # noqa: ANN401 (any TOML value)
    """Return a value that is a table, and an empty table for any other."""
    return value if isinstance(value, dict) else {}


def put(tree: Table, path: Path, value: Any) -> None:  # noqa: ANN401 (any TOML value)
    """Set the value at a path; the tables above it exist."""
    *parents, last = path
    here: Any = tree
    for key in parents:
        here = here[key]
    here[last] = value


def depth_of(tree: Table, path: Path) -> int:
    """Return how many keys of a path a tree has."""
    here: Any = tree
    for depth, key in enumerate(path):
        if not isinstance(here, dict) or key not in here:
            return depth
        here = here[key]
    return len(path)


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
    upgraded: tuple[tuple[str, str], ...] = ()
    """Old syntax that today's gateway refuses, and what the tree has instead."""

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
        file = max(self.trees, key=lambda name: depth_of(self.trees[name], path), default="")
        return f"{file}: {dotted(path)}" if path else file


@dataclass(slots=True)
class Problems:
    """Collects a project's problems, so that one run reports them all."""

    project: Project
    reasons: list[Reason] = field(default_factory=list)

    def add(self, path: Path, message: str) -> None:
        """Add a problem of a key."""
        self.reasons.append(Reason(self.project.locate(path), message))

    def stop_if_any(self, hint: str = "") -> None:
        """Refuse the project if it has problems."""
        refuse(self.reasons, hint)


def refuse(reasons: list[Reason], hint: str = "") -> None:
    """Raise `InvalidConfiguration` if there are any reasons. The hint ends its message."""
    if reasons:
        what = str(reasons[0]) if len(reasons) == 1 else f"{len(reasons)} problems"
        raise InvalidConfiguration(f"The project cannot be imported: {what}{hint}", reasons=reasons)


def as_text(value: date | time) -> str:
    """Format a date or time exactly as the gateway does."""
    text, offset = value.isoformat(), ""
    if text.endswith("+00:00"):
        text, offset = text.removesuffix("+00:00"), "Z"
    if "." in text:
        whole, _, fraction = text.partition(".")
        digits = fraction[:6].rstrip("0")
        text = f"{whole}.{digits}{fraction[6:]}" if digits else f"{whole}{fraction[6:]}"
    return text + offset


BASE_PATH = ("gateway", "template_filesystem_access", "base_path")
"""The one key that names a directory: templates may include every file below it."""

_ABSOLUTE = "absolute"
"""The directory for files that a project names by absolute paths."""


def located(toml: str, value: str) -> str:
    """Resolve a path in a TOML file; `../x` when it leaves the project, `/x` when it is absolute."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(toml), value))


def leaves_project(path: str) -> bool:
    """Whether a resolved path is outside the project's root, absolute paths aside."""
    return path == ".." or path.startswith("../")


def kept_as(path: str) -> str:
    """Return the registry's path of a resolved file: relative, even if the project uses an absolute one."""
    return posixpath.join(_ABSOLUTE, path.lstrip("/")) if path.startswith("/") else path


def is_below(path: str, directory: str) -> bool:
    """Whether a file is in a directory, at any depth."""
    return directory == "." or path.startswith(f"{directory}/")


def is_hidden(path: str, directory: str = ".") -> bool:
    """Whether a part of the path below the directory starts with a dot: templates cannot include such files."""
    return any(part.startswith(".") for part in posixpath.relpath(path, directory).split("/"))


def below(paths: Iterable[str], directory: str) -> list[str]:
    """Return the files that templates can include when `directory` is `base_path`."""
    return [path for path in paths if is_below(path, directory) and not is_hidden(path, directory)]


def project_path_problem(path: str) -> str | None:
    """Why no file of a project can have this path beside the configuration, or None."""
    if problem := path_problem(path):
        return problem
    if posixpath.normpath(path) != path:
        return "is no path of a file in its simplest form, such as functions/chat/system.minijinja"
    return f"is the path of the configuration itself, {CONFIG_FILE}" if path == CONFIG_FILE else None


_SHOWN = 100


def normalised(files: Mapping[str, bytes]) -> tuple[dict[str, bytes], list[Reason]]:
    """Return the files by their normalised names, and the problems of the others."""
    kept: dict[str, bytes] = {}
    reasons: list[Reason] = []
    for name, content in files.items():
        simple = posixpath.normpath(name)
        problem = path_problem(name) or (f"is there twice, also as {simple!r}" if simple in kept else None)
        if problem:
            reasons.append(Reason(shown(name), problem))
        else:
            kept[simple] = content
    return kept, reasons + _clashes(kept)


def shown(name: str) -> str:
    """Shorten a name for a message."""
    printable = name.encode("utf-8", "replace").decode()
    return printable if len(printable) <= _SHOWN else f"{printable[:_SHOWN]}…"


def _clashes(names: Iterable[str]) -> list[Reason]:
    """Find files whose names are a directory of others, or differ from others only in case or Unicode form."""
    reasons: list[Reason] = []
    seen: dict[str, str] = {}
    folded = {_folded(name): name for name in names}
    for name in names:
        key = _folded(name)
        if other := seen.get(key):
            reasons.append(Reason(shown(name), f"differs only in case from {shown(other)!r}; rename one of the two"))
        seen[key] = name
        directory = posixpath.dirname(key)
        while directory:
            if file := folded.get(directory):
                reasons.append(
                    Reason(shown(file), f"is a file, and a directory in {shown(name)!r}; rename one of the two")
                )
                break
            directory = posixpath.dirname(directory)
    return reasons


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
