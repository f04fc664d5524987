"""`model-registry tensorzero ...`: import of TensorZero projects, and export of the configuration.

The registry plans imports, in `gateways/tensorzero/importing/plan.py`; this module sends projects and prints results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote
from uuid import uuid4

import typer

from model_registry.cli import publication, sync, tensorzero_check
from model_registry.cli.output import printable
from model_registry.cli.registry import RegistryHttp, grouped_options
from model_registry.client.bundle import unpack_bundle, write_bundle
from model_registry.client.requests import Call, json_object
from model_registry.entities.gateway import DEFAULT_GATEWAY
from model_registry.errors import NotAllowed, NotAuthenticated, RegistryUnreachable, StorageError
from model_registry.imports.projects import Destination, OnConflict, project_named

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
    bool,
    typer.Option(
        "--replace",
        help="Remove what the registry has of earlier imports of this project, and the project has no more.",
    ),
]
Upgrade = Annotated[
    bool,
    typer.Option(
        "--upgrade",
        help="Rewrite old syntax that today's gateway refuses, where its meaning is plain; each is reported.",
    ),
]


def _project(value: str | None) -> str | None:
    if value is not None and project_named(value) != value:
        raise typer.BadParameter("takes letters, digits and _ . - up to 60 of them")
    return value


@dataclass(frozen=True, slots=True)
class Into:
    """Where an import goes: options of the command."""

    gateway: Annotated[
        str, typer.Option("--gateway", help="The gateway that it goes into; made where there is none.")
    ] = DEFAULT_GATEWAY
    project: Annotated[
        str | None,
        typer.Option(
            "--project",
            callback=_project,
            help="Name of the project: only it changes its own entries. By default the directory's name.",
        ),
    ] = None
    on_conflict: Annotated[
        OnConflict | None,
        typer.Option(
            "--on-conflict",
            help="What becomes of entries that another project has otherwise. Without it they are shown, and nothing "
            "is written.",
        ),
    ] = None


Directory = Annotated[Path, typer.Argument(help="Directory for tensorzero.toml and its files.", metavar="DIR")]

_TITLES = {
    "created": ("Created", "Would be created", "green"),
    "changed": ("Changed", "Would be changed", "yellow"),
    "removed": ("Removed", "Would be removed", "red"),
    "renamed": ("Renamed beside another project's", "Would be renamed beside another project's", "yellow"),
    "overwritten": ("Taken over from other projects", "Would be taken over from other projects", "red"),
    "kept": ("Left as other projects have it", "Would be left as other projects have it", "yellow"),
    "normalised": ("Rewritten with the same meaning", "Would be rewritten with the same meaning", "cyan"),
    "upgraded": ("Upgraded from old syntax", "Would be upgraded from old syntax", "cyan"),
    "warning": ("Warnings", "Warnings", "yellow"),
    "skipped": ("Left out", "Would be left out", "yellow"),
    "ignored": ("Not part of it", "Not part of it", "bright_black"),
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
    into: Into,
    registry: RegistryHttp,
) -> None:
    """Import a TensorZero project, with the files it refers to, in one transaction.

    The project's own rows become as it has them; everything else in the registry stays unchanged. Entries that another
    project has otherwise are conflicts: shown with both sides, exit code 1, unless --on-conflict says what to do.
    Exit code 5: written, but gateways do not get all of it, because validation refuses it.

    Example: `model-registry tensorzero import config/tensorzero.toml --dry-run`
    """
    from rich.console import Console

    from model_registry.gateways.tensorzero.reading.project_files import directory_of, read_project

    with Console(stderr=True).status("Reading the project"):
        project = read_project(paths, upgrade=upgrade)
        directory = directory_of(paths)
    options: dict[str, bool | float | str | None] = {"replace": replace or None, "upgrade": upgrade or None}
    options |= _given(into)
    with Console(stderr=True).status(f"Asking the registry at {registry.url}"):
        if dry_run:
            outcome = _dry_run(project, registry, options, directory)
        else:
            outcome = _ask(project, registry, options | {"wait": wait or None}, directory)
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


Options = Mapping[str, bool | float | str | None]


def _given(into: Into) -> dict[str, str | None]:
    """Return the options that say more than what holds without them."""
    gateway = into.gateway if into.gateway != DEFAULT_GATEWAY else None
    return {"gateway": gateway, "project": into.project, "on_conflict": into.on_conflict}


def _ask(
    project: Project, registry: RegistryHttp, options: Options, directory: str, *, dry_run: bool = False
) -> Outcome:
    from model_registry.imports.plan import ReportEntry

    params = {"dry_run": dry_run, **options}
    body = {"files": dict(project.texts), "configuration": list(project.trees)}
    named = {"X-Registry-Directory": quote(directory)} if directory else {}
    answer = registry.ask(Call("POST", "/api/tensorzero/import", json_object, params, body, headers=named))
    with registry.expect_shape():
        report = tuple(ReportEntry(**entry) for entry in answer["report"])
        where, revision = f"the registry at {registry.url}", answer["revision"]
        shown_at = None if options["gateway"] else registry.url
        return Outcome(report, dry_run, where, revision, shown_at, answer.get("publication"))


def _dry_run(project: Project, registry: RegistryHttp, options: Options, directory: str) -> Outcome:
    """Plan the import in the registry or, if it cannot be asked, against an empty one."""
    from model_registry.gateways.tensorzero.importing.plan import plan_import
    from model_registry.snapshot.snapshot import Snapshot

    try:
        return _ask(project, registry, options, directory, dry_run=True)
    except (RegistryUnreachable, StorageError, NotAuthenticated, NotAllowed) as error:
        into = Destination(
            str(options["gateway"] or DEFAULT_GATEWAY), str(options["project"] or project_named(directory))
        )
        plan = plan_import(project, Snapshot.empty(), lambda: str(uuid4()), replace=bool(options["replace"]), into=into)
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
