"""What commands print and write: text that is safe for a terminal, and files that are whole or not there."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from model_registry.private_files import replace_file


def printable(text: str) -> str:
    """Escape characters that could control the terminal: names come from anywhere."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def print_json(value: object) -> None:
    """Print a value for programs, and for people to read."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def write_output(path: Path, text: str) -> None:
    """Write a text in UTF-8, whole or not at all. A file that exists keeps its permissions. Errors: OSError.

    A link, a pipe or a device (`/dev/stdout`) is written to, and stays what it is.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        path.write_text(text, "utf-8", newline="")
    else:
        replace_file(path, text.encode(), mode=path.stat().st_mode & 0o777 if path.exists() else None)
