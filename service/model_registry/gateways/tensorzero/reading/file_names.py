"""Normalises the names of uploaded project files, and refuses those outside the project. Pure."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Iterable, Mapping

from model_registry.errors import Reason
from model_registry.file_paths import path_problem

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
