"""Converts paths between a project's TOML, the project and the registry. Pure; reads no file.

Paths are relative to the project's root, the directory of the rendered `tensorzero.toml`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from model_registry.file_paths import CONFIG_FILE, path_problem

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
