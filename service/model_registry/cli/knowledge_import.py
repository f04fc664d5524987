"""The second half of every import: send what was read to the registry, and print the result."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from model_registry.cli.errors import IN_PART
from model_registry.cli.output import printable, write_output
from model_registry.cli.registry import RegistryHttp
from model_registry.client.requests import Call, json_object
from model_registry.entities.offer import SourceContent
from model_registry.errors import Invalid, SourceUnreadable

_LONGEST = 20
"""Most lines printed of one kind. A price map has thousands; the file of --report has all."""

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """The options of every import."""

    only_existing: Annotated[
        bool, typer.Option("--only-existing", help="Only update existing models; create none.")
    ] = False
    activate: Annotated[
        bool, typer.Option("--activate", help="Create new models as active; by default they are inactive.")
    ] = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would change, and write nothing. Works with any key.")
    ] = False
    report: Annotated[
        Path | None, typer.Option("--report", help="Write the result for each model to this file, as JSON.")
    ] = None


def import_body(source: str, reading: SourceContent, options: ImportOptions) -> dict[str, Any]:
    """The body of the request."""
    offers = [offer.model_dump(exclude_defaults=True) for offer in reading.offers]
    choices = {"only_existing": options.only_existing, "activate": options.activate}
    return {"source": source, "offers": offers, **choices}


@contextmanager
def reading_bar(text: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar on stderr, and yield the function that moves it: (done, total)."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def bring_in(source: str, reading: SourceContent, options: ImportOptions, registry: RegistryHttp) -> None:
    """Send the offers to the registry, and print what it did with them.

    Ends with exit code 4 when some items could not be read. Errors: SourceUnreadable, when none could; Invalid, when
    there are none.
    """
    if not reading.offers:
        _print_passed_over(reading)
        if reading.unread:
            raise SourceUnreadable(f"Nothing could be read: {reading.unread[0].name}: {reading.unread[0].reason}")
        raise Invalid("The source contains nothing to import.")
    with reading_bar(f"{len(reading.offers)} models to the registry at {registry.url}"):
        params = {"dry_run": options.dry_run or None}
        answer = registry.ask(
            Call("POST", "/api/models/import", json_object, params, import_body(source, reading, options))
        )
    with registry.expect_shape():
        report: list[Entry] = answer["report"]
        _lines("Warnings", "yellow", answer.get("warnings", ()))
        _print_address(reading, report)
        _print(reading, report, answer["revision"], dry_run=options.dry_run)
    if options.report is not None:
        items = {"passed_over": reading.passed_over, "unread": reading.unread}
        listed = {kind: [{"name": one.name, "reason": one.reason} for one in ones] for kind, ones in items.items()}
        write_output(options.report, json.dumps(answer | listed, indent=2) + "\n")
    if reading.unread:
        raise typer.Exit(IN_PART)


def _print_address(reading: SourceContent, report: Sequence[Entry]) -> None:
    """Say so where a server is known under another name than the one that was asked for."""
    asked = {
        offer.provider: offer.api_base for offer in reading.offers if offer.api_base and not offer.provider_suggested
    }
    there = {e["provider"] for e in report if e["kind"] == "model" and e["action"] != "skipped"} - asked.keys()
    if len(asked) == 1 and there:
        ((name, base),) = asked.items()
        typer.echo(f"{base} is the address of {', '.join(sorted(there))}: its models are there, not at {name}.")


def _print(reading: SourceContent, report: Sequence[Entry], revision: int, *, dry_run: bool) -> None:
    models = [entry for entry in report if entry["kind"] == "model"]
    by_action = {action: [e for e in models if e["action"] == action] for action in ("created", "changed", "skipped")}
    would = "Would be " if dry_run else ""
    per_provider = Counter(entry["provider"] for entry in by_action["created"])
    new = [entry["provider"] for entry in report if entry["kind"] == "provider"]
    _lines(f"{would}new providers".capitalize(), "green", new)
    _lines(
        f"{would}created".capitalize(), "green", (f"{p}: {_many(n, 'model')}" for p, n in per_provider.most_common())
    )
    changes = (f"{e['name']} at {e['provider']}: {', '.join(e['fields'])}" for e in by_action["changed"])
    _lines(f"{would}changed".capitalize(), "yellow", changes)
    _lines(
        "Fields not written",
        "cyan",
        _grouped((f"{f}: {why}", e["name"]) for e in models for f, why in e["kept"].items()),
    )
    _lines("Skipped", "red", _grouped((e["reason"], e["name"]) for e in by_action["skipped"]))
    _print_passed_over(reading)
    counts = Counter(entry["action"] for entry in models)
    totals = ", ".join(f"{counts[action]} {action}" for action in ("created", "changed", "unchanged", "skipped"))
    passed = f", {len(reading.passed_over)} passed over" if reading.passed_over else ""
    passed += f", {len(reading.unread)} not read" if reading.unread else ""
    typer.echo(f"{totals}{passed}; {_many(len(new), 'new provider')}; revision {revision}")
    if dry_run:
        typer.echo("Nothing was written.")


def _print_passed_over(reading: SourceContent) -> None:
    _lines("Could not be read", "red", (f"{one.name}: {one.reason}" for one in reading.unread))
    _lines("Not models for the registry", "bright_black", _grouped((p.reason, p.name) for p in reading.passed_over))


def _grouped(reasons: Iterable[tuple[str, str]]) -> list[str]:
    """One line for each reason, the most frequent first, with an example."""
    names: dict[str, list[str]] = {}
    for reason, name in reasons:
        names.setdefault(reason, []).append(name)
    ordered = sorted(names.items(), key=lambda item: -len(item[1]))
    return [
        f"{reason} ({named[0]}{f' and {len(named) - 1} more' if len(named) > 1 else ''})" for reason, named in ordered
    ]


def _lines(title: str, colour: str, lines: Iterable[str]) -> None:
    shown = list(lines)
    if not shown:
        return
    typer.secho(f"{title} ({len(shown)})", fg=colour, bold=True)
    for line in shown[:_LONGEST]:
        typer.echo(f"  {printable(line)}")
    if len(shown) > _LONGEST:
        typer.echo(f"  ... and {len(shown) - _LONGEST} more; --report FILE has all")


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
