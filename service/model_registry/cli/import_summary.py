"""The result of an import, or of a dry run, as lines for people. Does no I/O but print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import typer

from model_registry.imports.plan import ReportEntry

_TITLES = {
    "created": ("Created", "Would be created", "green"),
    "changed": ("Changed", "Would be changed", "yellow"),
    "removed": ("Removed", "Would be removed", "red"),
    "normalised": ("Rewritten with the same meaning", "Would be rewritten with the same meaning", "cyan"),
    "unchanged": ("Left alone", "Would be left alone", "bright_black"),
}
"""Per action: the title when done, the title in a dry run, the colour."""

_WIDEST_NAME = 48


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an import."""

    report: Sequence[ReportEntry]
    dry_run: bool
    against: str
    revision: int | None = None
    url: str | None = None


def print_summary(outcome: Outcome) -> None:
    """Print what was created, changed and left alone, each in its group, then the counts."""
    counts = []
    for action, (done, planned, colour) in _TITLES.items():
        entries = [entry for entry in outcome.report if entry.action == action]
        if action not in {"normalised", "removed"} or (action == "removed" and entries):
            counts.append(f"{len(entries)} {action}")
        if entries:
            typer.secho(f"{planned if outcome.dry_run else done} ({len(entries)})", fg=colour, bold=True)
            _print_names(entries) if action == "unchanged" else _print_lines(entries)
    revision = "" if outcome.revision is None else f", revision {outcome.revision}"
    typer.echo(f"{', '.join(counts)}{revision}")
    if outcome.dry_run:
        typer.echo(f"Nothing was written. Compared with {printable(outcome.against)}")
    elif outcome.url:
        typer.echo(f"See it with: model-registry tensorzero render --registry {outcome.url}")


def _print_lines(entries: Sequence[ReportEntry]) -> None:
    kinds = max(len(entry.kind) for entry in entries)
    names = min(max(len(entry.name) for entry in entries), _WIDEST_NAME)
    for entry in entries:
        line = f"  {entry.kind:<{kinds}}  {printable(entry.name):<{names}}  {printable(entry.detail)}"
        typer.echo(line.rstrip())


def _print_names(entries: Sequence[ReportEntry]) -> None:
    """Print one line per kind: rows that stay as they are need no line each."""
    for kind, group in groupby(sorted(entries, key=lambda entry: entry.kind), key=lambda entry: entry.kind):
        typer.echo(f"  {kind}: {', '.join(printable(entry.name) for entry in group)}")


def printable(text: str) -> str:
    """Escape characters that could control the terminal: names come from anywhere."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
