"""Resolves a project's file references among the files sent with it, and renames them to the registry's paths.

Pure: reading the disk is in `project_files.py`.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from model_registry.entities.base import reasons_of
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
class Resolved:
    """The files that a project references."""

    files: dict[str, str] = field(default_factory=dict)
    """The registry's path -> content."""
    reasons: list[Reason] = field(default_factory=list)
    rewritten: list[tuple[str, str]] = field(default_factory=list)
    """Syntax that was replaced: file or key, and the replacement."""


def configurations(trees: Mapping[str, Table]) -> dict[str, Table]:
    """Select the TOML files that are the configuration. Others are referenced by it or may be included."""
    named = [
        (located(name, value), path == BASE_PATH)
        for name, tree in trees.items()
        for path, value in file_references(tree)
        if isinstance(value, str)
    ]
    files = {target for target, is_base in named if not is_base}
    bases = [target for target, is_base in named if is_base]

    def other(name: str, tree: Table) -> bool:
        ours = bool(tree.keys() & (MODELLED | SECTIONS))
        return name in files or (bool(tree) and not ours and any(is_below(name, base) for base in bases))

    return {name: tree for name, tree in trees.items() if not other(name, tree)}


def resolve(trees: Mapping[str, Table], sent: Mapping[str, str]) -> Resolved:
    """Make every reference relative to the project's root, in place, and collect the referenced files.

    Args:
        trees: the configuration's TOML files.
        sent: the other files, by their path from the root.
    """
    result = Resolved()
    used: dict[str, str] = {}
    for name, tree in trees.items():
        moved = 0
        for path, value in list(file_references(tree)):
            if not isinstance(value, str) or not value:
                continue  # the rules of a configuration report it
            target = located(name, value)
            _pick(f"{name}: {dotted(path)}", path, value, target, sent, result, used)
            moved += _set(tree, path, kept_as(target)) != posixpath.normpath(value)
        if moved:
            result.rewritten.append((name, f"{moved} path{'s'[: moved > 1]} made relative to {CONFIG_FILE}"))
    unused = [path for path in sent if path not in used]
    result.rewritten += [(path, "left out: no key of the configuration refers to it") for path in unused]
    _check_contents(used, result)
    return result


def _pick(  # noqa: PLR0913, PLR0917 (a reference and its context)
    where: str, key: Path, value: str, target: str, sent: Mapping[str, str], result: Resolved, used: dict[str, str]
) -> None:
    if leaves_project(target):
        message = f"{value!r} leads out of the project; import from a directory that has both, or move the file"
        result.reasons.append(Reason(where, message))
    elif key == BASE_PATH:
        if target in sent:
            result.reasons.append(Reason(where, f"{value!r} is a file; it must be a directory"))
        for path in below(sent, target):
            used[path] = kept_as(path)
            result.files[kept_as(path)] = sent[path]
    elif target not in sent:
        result.reasons.append(Reason(where, _no_such_file(value)))
    else:
        used[target] = kept_as(target)
        result.files[kept_as(target)] = sent[target]
        if _is_json(key) and (problem := _json_fault(sent[target])):
            result.reasons.append(Reason(where, f"{value!r} is not valid JSON: {problem}"))


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


def _check_contents(used: Mapping[str, str], result: Resolved) -> None:
    for path, kept in used.items():
        if problem := project_path_problem(kept):
            result.reasons.append(Reason(path, problem))
        try:
            ConfigFileDraft(path=kept, content=result.files[kept])
        except ValidationError as error:
            result.reasons.append(Reason(path, str(reasons_of(error)[0])))
