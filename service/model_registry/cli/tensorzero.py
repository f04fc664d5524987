"""`model-registry tensorzero ...`: import of TensorZero projects, and export of the configuration.

The registry plans imports, in `gateways/tensorzero/importing/plan.py`; this module sends projects and prints results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from model_registry.cli import publication, sync, tensorzero_check
from model_registry.cli.output import printable
from model_registry.cli.registry import RegistryHttp, grouped_options
from model_registry.client.bundle import unpack_bundle, write_bundle
from model_registry.client.requests import Call, json_object
from model_registry.errors import NotAllowed, NotAuthenticated, RegistryUnreachable, StorageError

if TYPE_CHECKING:
    from model_registry.gateways.tensorzero.project import Project
    from model_registry.imports.plan import ReportEntry

app = typer.Typer(
    help="Import, render, check and deliver the TensorZero gateway's configuration.", no_args_is_help=True
)

app.command("check")(tensorzero_check.check)
app.command("status")(publication.status)
app.command("sync")(sync.sync)

Paths = Annotated[list[str], typer.Argument(help="TOML files, directories or globs of one project.", metavar="PATH...")]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Print what would change, and write nothing. Without a key: against an empty registry."
    ),
]
Replace = Annotated[
    bool, typer.Option("--replace", help="Replace the gateway project in the registry, instead of merging into it.")
]
Upgrade = Annotated[
    bool,
    typer.Option(
        "--upgrade",
        help="Rewrite old syntax that today's gateway refuses, where its meaning is plain; each is reported.",
    ),
]
Directory = Annotated[Path, typer.Argument(help="Directory for tensorzero.toml and its files.", metavar="DIR")]

_TITLES = {
    "created": ("Created", "Would be created", "green"),
    "changed": ("Changed", "Would be changed", "yellow"),
    "removed": ("Removed", "Would be removed", "red"),
    "normalised": ("Rewritten with the same meaning", "Would be rewritten with the same meaning", "cyan"),
    "upgraded": ("Upgraded from old syntax", "Would be upgraded from old syntax", "cyan"),
    "warning": ("Warnings", "Warnings", "yellow"),
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
    publication: Mapping[str, Any] | None = None
    """Whether gateways get it, as the registry says; None: a dry run, or nobody waited."""


@app.command("import")
@grouped_options
def import_(
    paths: Paths,
    dry_run: DryRun = False,
    replace: Replace = False,
    upgrade: Upgrade = False,
    wait: publication.Wait = 30,
    *,
    registry: RegistryHttp,
) -> None:
    """Import a TensorZero project, with the files it refers to, in one transaction.

    Rows named by the project are overwritten; everything else in the registry stays unchanged, unless --replace is set.
    Exit code 5: written, but gateways do not get all of it, because validation refuses it.

    Example: `model-registry tensorzero import config/tensorzero.toml --dry-run`
    """
    from rich.console import Console

    from model_registry.gateways.tensorzero.reading.project_files import read_project

    with Console(stderr=True).status("Reading the project"):
        project = read_project(paths, upgrade=upgrade)
    options = {"replace": replace or None, "upgrade": upgrade or None}
    with Console(stderr=True).status(f"Asking the registry at {registry.url}"):
        if dry_run:
            outcome = _dry_run(project, registry, options)
        else:
            outcome = _ask(project, registry, options | {"wait": wait or None})
    print_summary(outcome)
    with registry.expect_shape():
        publication.expect_served(outcome.publication, outcome.revision)


@app.command()
@grouped_options
def render(latest: publication.Latest = False, *, registry: RegistryHttp) -> None:
    """Print the gateway configuration that the registry serves; its revision goes to standard error.

    Exit code 5: an earlier one, because validation refuses the newest.

    Example: `model-registry tensorzero render > tensorzero.toml`
    """
    content, code = publication.fetch(registry, "/api/tensorzero/config", bytes, latest=latest)
    typer.echo(content, nl=False)
    raise typer.Exit(code)


@app.command()
@grouped_options
def export(directory: Directory, latest: publication.Latest = False, *, registry: RegistryHttp) -> None:
    """Export the gateway's configuration with its files to a directory; its revision goes to standard error.

    Files of the same name are replaced; other files in the directory are left alone. Exit code 5: an earlier
    configuration, because validation refuses the newest.

    Example: `model-registry tensorzero export ./gateway`
    """
    files, code = publication.fetch(registry, "/api/tensorzero/bundle", unpack_bundle, latest=latest)
    write_bundle(files, directory)
    typer.echo(f"{len(files)} file{'s'[: len(files) != 1]} in {directory}")
    raise typer.Exit(code)


Options = Mapping[str, bool | float | None]


def _ask(project: Project, registry: RegistryHttp, options: Options, *, dry_run: bool = False) -> Outcome:
    from model_registry.imports.plan import ReportEntry

    params = {"dry_run": dry_run, **options}
    body = {"files": dict(project.texts), "configuration": list(project.trees)}
    answer = registry.ask(Call("POST", "/api/tensorzero/import", json_object, params, body))
    with registry.expect_shape():
        report = tuple(ReportEntry(**entry) for entry in answer["report"])
        where, revision = f"the registry at {registry.url}", answer["revision"]
        return Outcome(report, dry_run, where, revision, registry.url, answer.get("publication"))


def _dry_run(project: Project, registry: RegistryHttp, options: Options) -> Outcome:
    """Plan the import in the registry or, if it cannot be asked, against an empty one."""
    from model_registry.gateways.tensorzero.importing.plan import plan_import
    from model_registry.snapshot.snapshot import Snapshot

    try:
        return _ask(project, registry, options, dry_run=True)
    except (RegistryUnreachable, StorageError, NotAuthenticated, NotAllowed) as error:
        plan = plan_import(project, Snapshot.empty(), lambda: str(uuid4()), replace=bool(options["replace"]))
        return Outcome(plan.report, dry_run=True, against=f"an empty registry: {error.message}")


def print_summary(outcome: Outcome) -> None:
    """Print what was created, changed and left alone, each in its group, then the counts."""
    counts = []
    for action, (done, planned, colour) in _TITLES.items():
        entries = [entry for entry in outcome.report if entry.action == action]
        if action in {"created", "changed", "unchanged"} or (action == "removed" and entries):
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
