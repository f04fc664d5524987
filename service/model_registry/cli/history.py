"""`model-registry history`, `diff` and `rollback`: earlier configurations, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

from model_registry.cli.output import print_json, printable
from model_registry.cli.registry import RegistryHttp, grouped_options
from model_registry.client.requests import Call, json_object

_SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
_PAST = {"insert": "added", "update": "changed", "delete": "removed"}
_NOUNS = {
    "model_providers": ("provider", "providers"),
    "models": ("model", "models"),
    "model_aliases": ("alias", "aliases"),
    "functions": ("function", "functions"),
    "service_model_mappings": ("mapping", "mappings"),
    "gateways": ("gateway", "gateways"),
    "config_sections": ("section", "sections"),
    "config_files": ("file", "files"),
}
_WIDEST_VALUE = 60
_DIFF = "/api/tensorzero/diff"


class DiffFormat(StrEnum):
    """Output format of a difference."""

    rows = "rows"
    text = "text"
    json = "json"


@grouped_options
def history(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Maximum number of writes.")] = 20,
    before: Annotated[int | None, typer.Option(min=0, help="Only writes before this revision.")] = None,
    *,
    registry: RegistryHttp,
) -> None:
    """List writes to the configuration with time, author and size, newest first.

    Example: `model-registry history --limit 5`
    """
    page = registry.ask(Call("GET", "/api/history", json_object, {"limit": limit, "before": before}))
    with registry.expect_shape():
        width = max((len(str(write["revision"])) for write in page["items"]), default=0)
        for write in page["items"]:
            what = ", ".join(_counted(change) for change in write["changes"])
            when, who = write["at"][:19].replace("T", " "), printable(write["actor"])
            typer.echo(f"{write['revision']:>{width}}  {when}  {who}  {what}")
        if not page["items"]:
            typer.echo("No writes.")
        if page["next_before"] is not None:
            typer.echo(f"More: model-registry history --before {page['next_before']}")
        elif page["oldest"]:
            typer.echo(f"History begins at revision {page['oldest']}: earlier entries were trimmed.")


@grouped_options
def diff(
    from_: Annotated[int, typer.Argument(metavar="FROM", min=0, help="A revision, as shown by `history`.")],
    to: Annotated[int, typer.Argument(metavar="TO", min=0, help="Another revision.")],
    format_: Annotated[
        DiffFormat,
        typer.Option(
            "--format", help="rows: changed rows with their authors; text: the gateway's configuration; json."
        ),
    ] = DiffFormat.rows,
    *,
    registry: RegistryHttp,
) -> None:
    """Compare two revisions of the configuration.

    Example: `model-registry diff 120 128 --format text`
    """
    print_diff(registry, _DIFF, {"from": from_, "to": to}, format_)


@grouped_options
def rollback(
    revision: Annotated[int, typer.Argument(metavar="REVISION", min=0, help="A revision, as shown by `history`.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change, and write nothing.")] = False,
    *,
    registry: RegistryHttp,
) -> None:
    """Restore the configuration of an earlier revision, as a new revision, in one transaction.

    Deployments, nodes and API keys stay unchanged. Nothing is written if the gateway would refuse the result.

    Example: `model-registry rollback 120 --dry-run`
    """
    done = registry.ask(Call("POST", "/api/rollback", json_object, {"dry_run": dry_run}, {"revision": revision}))
    with registry.expect_shape():
        print_rows(done, f"The configuration already equals that of revision {done['restored']}.")
        if dry_run:
            typer.echo("Nothing was written.")
        elif done["items"]:
            typer.echo(f"Restored the configuration of revision {done['restored']}, as revision {done['revision']}.")


def print_diff(registry: RegistryHttp, path: str, sides: Mapping[str, int | str], format_: DiffFormat) -> None:
    """Ask at this path what differs between the sides `from` and `to`, and print it."""
    if format_ is DiffFormat.text:
        typer.echo(registry.ask(Call("GET", path, bytes, {**sides, "format": "text"})), nl=False)
        return
    difference = registry.ask(Call("GET", path, json_object, {**sides, "format": "json"}))
    if format_ is DiffFormat.json:
        print_json(difference)
        return
    with registry.expect_shape():
        print_rows(difference, "No difference.")


def print_rows(difference: dict[str, Any], nothing: str) -> None:
    """Print the rows that differ, and how many."""
    for row in difference["items"]:
        sign, colour = _SIGNS[row["change"]]
        typer.secho(f"{sign} {row['kind']} {printable(row['name'])}", fg=colour)
        for field in row["fields"] if row["change"] == "changed" else ():
            before = _value(field["before"], field["before_name"])
            typer.echo(f"    {field['field']}: {before} -> {_value(field['after'], field['after_name'])}")
        for write in row.get("writes", ()):
            when, who = write["at"][:19].replace("T", " "), printable(write["actor"])
            typer.echo(f"    {_PAST[write['operation']]} by {who}, {when}, revision {write['revision']}")
    counts = f"{difference['added']} added, {difference['removed']} removed, {difference['changed']} changed"
    typer.echo(counts if difference["items"] else nothing)


def _counted(change: dict[str, Any]) -> str:
    one, many = _NOUNS[change["table"]]
    return f"{change['rows']} {one if change['rows'] == 1 else many} {_PAST[change['operation']]}"


def _value(value: object, name: str | None) -> str:
    text = printable(name if name is not None else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _WIDEST_VALUE else f"{text[:_WIDEST_VALUE]}..."
