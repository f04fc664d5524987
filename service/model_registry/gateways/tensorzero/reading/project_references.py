"""The files that a project's TOML refers to: found among those that came with it, and named as the registry keeps them.

Pure: the disk is `project_files`' business.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from model_registry.entities.config import ConfigFileDraft
from model_registry.errors import Reason
from model_registry.file_paths import CONFIG_FILE
from model_registry.gateways.tensorzero.project import MODELLED, SECTIONS, Path, Table, dotted
from model_registry.gateways.tensorzero.reading.file_keys import file_references
from model_registry.gateways.tensorzero.reading.project_paths import (
    BASE_PATH,
    below,
    is_below,
    kept_as,
    leaves_project,
    located,
    project_path_problem,
)

_LONGEST_NAME = 255
"""Bytes in a file's name, on most systems."""


@dataclass(slots=True)
class Found:
    """What a project's references lead to."""

    files: dict[str, str] = field(default_factory=dict)
    """Path, as the registry keeps it -> content."""
    reasons: list[Reason] = field(default_factory=list)
    said: list[tuple[str, str]] = field(default_factory=list)
    """What is said in other words than the project's: where, and which."""


def configurations(trees: Mapping[str, Table]) -> dict[str, Table]:
    """The TOML files that are the configuration. Others are files that it refers to, or may include."""
    named = [
        (located(name, value), path == BASE_PATH)
        for name, tree in trees.items()
        for path, value in file_references(tree)
        if isinstance(value, str)
    ]
    files = {place for place, is_base in named if not is_base}
    bases = [place for place, is_base in named if is_base]

    def other(name: str, tree: Table) -> bool:
        ours = bool(tree.keys() & (MODELLED | SECTIONS))
        return name in files or (bool(tree) and not ours and any(is_below(name, base) for base in bases))

    return {name: tree for name, tree in trees.items() if not other(name, tree)}


def resolve(trees: Mapping[str, Table], sent: Mapping[str, str]) -> Found:
    """Make every reference in these trees one from the project's root, in place, and pick the files they lead to.

    Args:
        trees: the configuration's TOML files.
        sent: the other files, by their path from the root.
    """
    found = Found()
    used: dict[str, str] = {}
    for name, tree in trees.items():
        moved = 0
        for path, value in list(file_references(tree)):
            if not isinstance(value, str) or not value:
                continue  # the rules of a configuration say what is wrong with it
            place = located(name, value)
            _pick(f"{name}: {dotted(path)}", path, value, place, sent, found, used)
            moved += _set(tree, path, kept_as(place)) != posixpath.normpath(value)
        if moved:
            found.said.append((name, f"{moved} path{'s'[: moved > 1]} made relative to {CONFIG_FILE}"))
    found.said += [(path, "left out: no key of the configuration refers to it") for path in sent if path not in used]
    _check_contents(used, found)
    return found


def _pick(  # noqa: PLR0913, PLR0917 (a reference, and where it is looked for)
    where: str, key: Path, value: str, place: str, sent: Mapping[str, str], found: Found, used: dict[str, str]
) -> None:
    if leaves_project(place):
        message = f"{value!r} leads out of the project; import from a directory that has both, or move the file"
        found.reasons.append(Reason(where, message))
    elif key == BASE_PATH:
        if place in sent:
            found.reasons.append(Reason(where, f"{value!r} is a file; it must be a directory"))
        for path in below(sent, place):
            used[path] = kept_as(path)
            found.files[kept_as(path)] = sent[path]
    elif place not in sent:
        found.reasons.append(Reason(where, _no_such_file(value)))
    else:
        used[place] = kept_as(place)
        found.files[kept_as(place)] = sent[place]
        if _is_json(key) and (problem := _json_fault(sent[place])):
            found.reasons.append(Reason(where, f"{value!r} is not valid JSON: {problem}"))


def _no_such_file(value: str) -> str:
    if "\n" in value or len(value) > _LONGEST_NAME:
        return "holds text, and the gateway takes the path of a file here; write the text into a file, and name that"
    return f"refers to {value!r}, and the project has no such file"


def _is_json(key: Path) -> bool:
    """Whether the gateway reads this file as JSON: schemas, and the parameters of tools."""
    return key[-1].endswith("_schema") or key[-1] == "parameters" or key[-3:-2] == ("schemas",)


def _json_fault(content: str) -> str | None:
    try:
        json.loads(content)
    except ValueError as error:
        return str(error)
    except RecursionError:
        return "nested too deeply"
    return None


def _set(tree: Table, path: Path, value: str) -> str:
    here: Any = tree
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = value
    return value


def _check_contents(used: Mapping[str, str], found: Found) -> None:
    for place, kept in used.items():
        if problem := project_path_problem(kept):
            found.reasons.append(Reason(place, problem))
        try:
            ConfigFileDraft(path=kept, content=found.files[kept])
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            message = first["msg"].removeprefix("Value error, ")
            found.reasons.append(Reason(place, f"{first['loc'][0]}: {message}"))
