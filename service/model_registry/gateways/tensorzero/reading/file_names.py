"""Normalises the names of uploaded project files, and refuses those outside the project. Pure."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Iterable, Mapping

from model_registry.errors import Reason

_LONGEST_NAME, _LONGEST_PART, _DEEPEST = 1000, 255, 32
"""Bytes and directories: the limits of file systems."""
_SHOWN = 100


def normalised(files: Mapping[str, bytes]) -> tuple[dict[str, bytes], list[Reason]]:
    """Return the files by their normalised names, and the problems of the others."""
    kept: dict[str, bytes] = {}
    reasons: list[Reason] = []
    for name, content in files.items():
        simple = posixpath.normpath(name)
        problem = name_problem(name) or (f"is there twice, also as {simple!r}" if simple in kept else None)
        if problem:
            reasons.append(Reason(shown(name), problem))
        else:
            kept[simple] = content
    return kept, reasons + _clashes(kept)


def name_problem(name: str) -> str | None:
    """Return why a project's file cannot have this name, or None."""
    parts = name.split("/")
    longest = max(len(part.encode("utf-8", "replace")) for part in parts)
    whole = len(name.encode("utf-8", "replace"))
    checks = (
        (not name or name.endswith("/") or posixpath.normpath(name) == ".", "is no name of a file; write a path"),
        (_has_control_characters(name), "has a control character, or half of one, in it"),
        (name.startswith("/"), "is absolute; write the path from the project's root"),
        (".." in parts, "leads out of a directory; write the path from the project's root, without '..'"),
        ("\\" in name, "has a backslash in it; write / between directories"),
        (longest > _LONGEST_PART, f"has a part that is too long: at most {_LONGEST_PART} bytes"),
        (whole > _LONGEST_NAME, f"is too long: at most {_LONGEST_NAME} bytes"),
        (len(parts) > _DEEPEST, f"is too deep: at most {_DEEPEST} directories"),
    )
    return next((problem for wrong, problem in checks if wrong), None)


def _has_control_characters(name: str) -> bool:
    return any(unicodedata.category(character) in {"Cc", "Cs"} for character in name)


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
