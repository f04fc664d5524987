"""`model-registry history`, `diff` and `rollback`: earlier configurations, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from model_registry.cli.import_summary import printable
from model_registry.cli.registry import RegistryHttp, json_object
from model_registry.cli.tensorzero import DEFAULT_URL, ApiKey, RegistryUrl
from model_registry.errors import RegistryUnreachable

_SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
_PAST = {"insert": "added", "update": "changed", "delete": "removed"}
_NOUNS = {
    "model_providers": ("provider", "providers"),
    "models": ("model", "models"),
    "model_aliases": ("alias", "aliases"),
    "functions": ("function", "functions"),
    "service_model_mappings": ("mapping", "mappings"),
    "config_sections": ("section", "sections"),
    "config_files": ("file", "files"),
}
_WIDEST_VALUE = 60


class DiffFormat(StrEnum):
    """Output format of a difference."""

    rows = "rows"
    text = "text"
    json = "json"


def history(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Maximum number of writes.")] = 20,
    before: Annotated[int | None, typer.Option(min=0, help="Only writes before this revision.")] = None,
    registry: RegistryUrl = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """List writes to the configuration with time, author and size, newest first.

    Example: `model-registry history --limit 5`
    """
    query = {"limit": limit, **({} if before is None else {"before": before})}
    page = json_object(RegistryHttp(registry, api_key).get(f"/api/history?{urlencode(query)}"))

    def show() -> None:
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

    _as_registry_says(registry, show)


def diff(
    from_: Annotated[int, typer.Argument(metavar="FROM", min=0, help="A revision, as shown by `history`.")],
    to: Annotated[int, typer.Argument(metavar="TO", min=0, help="Another revision.")],
    format_: Annotated[
        DiffFormat,
        typer.Option(
            "--format", help="rows: changed rows with their authors; text: the gateway's configuration; json."
        ),
    ] = DiffFormat.rows,
    registry: RegistryUrl = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Compare two revisions of the configuration.

    Example: `model-registry diff 120 128 --format text`
    """
    shape = "text" if format_ is DiffFormat.text else "json"
    query = urlencode({"from": from_, "to": to, "format": shape})
    answer = RegistryHttp(registry, api_key).get(f"/api/tensorzero/diff?{query}")
    if format_ is DiffFormat.text:
        typer.echo(answer.content, nl=False)
        return
    found = json_object(answer)
    if format_ is DiffFormat.json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    _as_registry_says(registry, lambda: _print_rows(found, "No difference."))


def rollback(
    revision: Annotated[int, typer.Argument(metavar="REVISION", min=0, help="A revision, as shown by `history`.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change, and write nothing.")] = False,
    registry: RegistryUrl = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Restore the configuration of an earlier revision, as a new revision, in one transaction.

    Deployments, nodes and API keys stay unchanged. Nothing is written if the gateway would refuse the result.

    Example: `model-registry rollback 120 --dry-run`
    """
    params = {"dry_run": "true" if dry_run else "false"}
    done = json_object(RegistryHttp(registry, api_key).post("/api/rollback", {"revision": revision}, params))

    def show() -> None:
        _print_rows(done, f"The configuration already equals that of revision {done['restored']}.")
        if dry_run:
            typer.echo("Nothing was written.")
        elif done["items"]:
            typer.echo(f"Restored the configuration of revision {done['restored']}, as revision {done['revision']}.")

    _as_registry_says(registry, show)


def _print_rows(found: dict[str, Any], nothing: str) -> None:
    for row in found["items"]:
        sign, colour = _SIGNS[row["change"]]
        typer.secho(f"{sign} {row['kind']} {printable(row['name'])}", fg=colour)
        for field in row["fields"] if row["change"] == "changed" else ():
            before = _value(field["before"], field["before_name"])
            typer.echo(f"    {field['field']}: {before} -> {_value(field['after'], field['after_name'])}")
        for write in row.get("writes", ()):
            when, who = write["at"][:19].replace("T", " "), printable(write["actor"])
            typer.echo(f"    {_PAST[write['operation']]} by {who}, {when}, revision {write['revision']}")
    counts = f"{found['added']} added, {found['removed']} removed, {found['changed']} changed"
    typer.echo(counts if found["items"] else nothing)


def _counted(change: dict[str, Any]) -> str:
    one, many = _NOUNS[change["table"]]
    return f"{change['rows']} {one if change['rows'] == 1 else many} {_PAST[change['operation']]}"


def _value(value: object, name: str | None) -> str:
    text = printable(name if name is not None else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _WIDEST_VALUE else f"{text[:_WIDEST_VALUE]}..."


def _as_registry_says(url: str, show: Callable[[], None]) -> None:
    """Print a response; one of unexpected shape becomes a message instead of a traceback."""
    try:
        show()
    except (KeyError, TypeError, ValueError) as error:
        raise RegistryUnreachable(f"Unexpected response from {url}: is it a model registry?") from error
