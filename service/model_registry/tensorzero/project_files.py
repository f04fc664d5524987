"""The TOML files of a project, from disk. Reads and finds; what is in them is `parse`'s business."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import tomli

from model_registry.errors import Reason
from model_registry.tensorzero.parse import parse_project
from model_registry.tensorzero.project import MODELLED, SECTIONS, Project, refuse

_ELSEWHERE = frozenset({"node_modules", "site-packages", "target", "venv", "__pycache__"})


def read_project(paths: Iterable[str | Path]) -> Project:
    """Read and parse a project from files, directories and globs.

    Raises:
        InvalidConfiguration: a path leads nowhere or cannot be read, or the project is not valid.
    """
    return parse_project(read_files(paths))


def read_files(paths: Iterable[str | Path]) -> dict[str, str]:
    """The TOML files that these paths, directories and globs stand for: path below their common directory -> text."""
    reasons: list[Reason] = []
    found = list(dict.fromkeys(file for path in paths for file in _found(Path(path), reasons)))
    refuse(reasons)
    root = Path(os.path.commonpath([file.parent for file in found])) if found else Path()
    texts = {file.relative_to(root).as_posix(): _text(file, reasons) for file in found}
    refuse(reasons)
    return texts


def _found(path: Path, reasons: list[Reason]) -> Iterator[Path]:
    absolute = path.absolute()
    if absolute.is_file():
        yield absolute
    elif absolute.is_dir():
        files = list(_project_files(absolute))
        if not files:
            reasons.append(Reason(str(path), "has no TOML file of a TensorZero project in it"))
        yield from files
    elif glob.has_magic(str(path)):
        names = sorted(glob.glob(str(absolute), recursive=True))  # noqa: PTH207 (Path.glob takes no absolute pattern)
        if not names:
            reasons.append(Reason(str(path), "no file matches"))
        yield from (Path(name) for name in names if Path(name).is_file())
    elif absolute.exists():
        reasons.append(Reason(str(path), "is not a regular file"))
    else:
        reasons.append(Reason(str(path), "no such file or directory"))


def _project_files(directory: Path) -> Iterator[Path]:
    """The project's files below a directory: the TOML files without those of other tools (pyproject.toml ...)."""
    for parent, directories, names in os.walk(directory):
        directories[:] = sorted(d for d in directories if d not in _ELSEWHERE and not d.startswith("."))
        for name in sorted(names):
            file = Path(parent, name)
            if file.suffix == ".toml" and file.is_file() and _is_ours(file):
                yield file


def _is_ours(file: Path) -> bool:
    """Whether a file has a table of the gateway's, or cannot be read at all: then its owner wants to know."""
    try:
        tree = tomli.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return file.name not in {"pyproject.toml", "Cargo.toml"}
    return not tree or bool(tree.keys() & (MODELLED | SECTIONS))


def _text(file: Path, reasons: list[Reason]) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        reasons.append(Reason(str(file), f"cannot be read: {error.strerror}"))
    except UnicodeDecodeError as error:
        reasons.append(Reason(str(file), f"is not UTF-8 (byte {error.start})"))
    return ""
