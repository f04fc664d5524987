"""Which paths the files of a gateway's project may have, wherever they come from: the one set of checks. Pure."""

from __future__ import annotations

import posixpath
import unicodedata

CONFIG_FILE = "tensorzero.toml"
"""The configuration itself in a bundle. No other file can have its path."""

MAIN_FILES = (CONFIG_FILE, "config.yaml", "workers.json")
"""What its gateway is pointed to in a bundle, one for each kind of gateway."""

_LONGEST_PATH, _LONGEST_PART, _DEEPEST = 1000, 255, 32
"""Bytes and directories; the limits of file systems."""


def path_problem(path: str) -> str | None:
    """Why a file cannot have this path below a directory, or None."""
    parts = path.split("/")
    longest = max(len(part.encode("utf-8", "replace")) for part in parts)
    whole = len(path.encode("utf-8", "replace"))
    checks = (
        (not path or path.endswith("/") or posixpath.normpath(path) == ".", "is no name of a file; write a path"),
        (_has_control_characters(path), "has a control character, or half of one, in it"),
        (path.startswith("/"), "is absolute; write the path from the project's root"),
        (".." in parts, "leads out of a directory; write the path from the project's root, without '..'"),
        ("\\" in path, "has a backslash in it; write / between directories"),
        (longest > _LONGEST_PART, f"has a part that is too long: at most {_LONGEST_PART} bytes"),
        (whole > _LONGEST_PATH, f"is too long: at most {_LONGEST_PATH} bytes"),
        (len(parts) > _DEEPEST, f"is too deep: at most {_DEEPEST} directories"),
    )
    return next((problem for wrong, problem in checks if wrong), None)


def _has_control_characters(path: str) -> bool:
    return any(unicodedata.category(character) in {"Cc", "Cs"} for character in path)
