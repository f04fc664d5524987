"""`model-registry sources ...`: what the registry asks again and again for models, and how it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from model_registry.cli.output import print_json, printable
from model_registry.cli.registry import RegistryHttp, grouped_options
from model_registry.client.requests import Call, Json, json_object, quoted
from model_registry.entities.source import KINDS
from model_registry.errors import AlreadyExists

app = typer.Typer(
    help="What the registry asks again and again for models: add sources, see how they answer, ask them now.",
    no_args_is_help=True,
)

_SOURCES = "/api/sources"
_STATES = {"ok": "green", "failing": "red", "never": "yellow"}
_COLOURS = {"created": "green", "changed": "yellow", "skipped": "red"}
_COUNTS = {"passed_over": "no models for the registry", "missing": "no longer listed"}
_MOST_SKIPPED = 20

Name = Annotated[str, typer.Argument(help="The source's name.", metavar="NAME")]
Kind = Annotated[str, typer.Option(help=f"One of: {', '.join(KINDS)}.")]
Address = Annotated[str | None, typer.Argument(help="URL; of a file or directory its path.", metavar="ADDRESS")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would change, and write nothing.")]


@dataclass(frozen=True, slots=True)
class Fields:
    """Settings of a source: options of a command. What is None is not changed."""

    interval: Annotated[float | None, typer.Option("--interval", min=1, help="Seconds between two questions.")] = None
    provider: Annotated[
        str | None,
        typer.Option("--provider", help="Provider of its models; by default the one at its address, new or not."),
    ] = None
    provider_type: Annotated[str | None, typer.Option("--type", help="Of openai: the type of a new provider.")] = None
    framework: Annotated[str | None, typer.Option("--framework", help="Of training_service: only models of it.")] = None
    key_variable: Annotated[
        str | None,
        typer.Option("--key-variable", help="Variable of the registry with the server's API key."),
    ] = None
    position: Annotated[
        int | None, typer.Option("--position", help="Lower comes first where several list a model.")
    ] = None
    timeout: Annotated[float | None, typer.Option("--timeout", help="Seconds for a whole answer.")] = None
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Of huggingface: the name of a model. Repeatable.")
    ] = None
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Of litellm_prices: only models of this provider. Repeatable.")
    ] = None
    activate: Annotated[bool | None, typer.Option("--activate/--no-activate", help="New models are active.")] = None
    only_existing: Annotated[
        bool | None, typer.Option("--only-existing/--add-models", help="Fill fields of models that exist; add none.")
    ] = None

    def given(self, options: Json) -> Json:
        """Those that are to be written; `options` are those that the source has."""
        fields: Json = {
            "interval_seconds": self.interval,
            "provider": self.provider,
            "framework": self.framework,
            "api_key_env_var": self.key_variable,
            "position": self.position,
        }
        named: Json = {
            "provider_type": self.provider_type,
            "timeout_seconds": self.timeout,
            "models": self.model,
            "only": self.only,
            "activate": self.activate,
            "only_existing": self.only_existing,
        }
        changed = {name: value for name, value in named.items() if value is not None}
        found = {name: value for name, value in fields.items() if value is not None}
        return found | ({"options": options | changed} if changed else {})


@app.command("list")
@grouped_options
def list_sources(as_json: AsJson = False, *, registry: RegistryHttp) -> None:
    """List all sources: how each answers, and when it last did.

    Example: `model-registry sources list`
    """
    page = registry.ask(Call("GET", _SOURCES, json_object))
    with registry.expect_shape():
        if as_json:
            print_json(page["items"])
            return
        for one in page["items"]:
            _print_line(one)
        if not page["items"]:
            typer.echo("No sources.")


@app.command("get")
@grouped_options
def get_source(name: Name, as_json: AsJson = False, *, registry: RegistryHttp) -> None:
    """Show a source, its last answer, and the entries of it that were skipped, with the reasons.

    Example: `model-registry sources get gpu_1`
    """
    one = registry.ask(Call("GET", _path(name), json_object))
    with registry.expect_shape():
        if as_json:
            print_json(one)
        else:
            _print(one)


@app.command("add")
@grouped_options
def add_source(
    name: Name,
    address: Address = None,
    inactive: Annotated[bool, typer.Option("--inactive", help="Do not ask it yet.")] = False,
    *,
    kind: Kind,
    fields: Fields,
    registry: RegistryHttp,
) -> None:
    """Add a source. It is asked at once, and then at its interval.

    Example: `model-registry sources add gpu_1 http://gpu-1:11434 --kind ollama --interval 60`
    """
    body = {"name": name, "kind": kind, "address": address, "active": not inactive, **fields.given({})}
    try:
        made = registry.ask(Call("POST", _SOURCES, json_object, body=body))
    except AlreadyExists as error:
        message = f"The source {name!r} already exists. Change it with `model-registry sources set {name} ...`."
        raise AlreadyExists(message) from error
    with registry.expect_shape():
        typer.echo(f"added {printable(made['name'])}{'' if inactive else ', asked at once'}")


@app.command("set")
@grouped_options
def set_source(
    name: Name,
    address: Annotated[str | None, typer.Option(help="URL; of a file or directory its path.")] = None,
    active: Annotated[bool | None, typer.Option("--active/--inactive", help="Whether it is asked.")] = None,
    *,
    fields: Fields,
    registry: RegistryHttp,
) -> None:
    """Change some settings of a source; the others stay. It is asked at once.

    Example: `model-registry sources set gpu_1 --interval 300`
    """
    there = registry.ask(Call("GET", _path(name), json_object))
    with registry.expect_shape():
        body = fields.given(there["options"])
    body |= {key: value for key, value in (("address", address), ("active", active)) if value is not None}
    if not body:
        raise typer.BadParameter("name a setting to change; --help lists them")
    changed = registry.ask(Call("PATCH", _path(name), json_object, body=body))
    with registry.expect_shape():
        typer.echo(f"changed {printable(changed['name'])}: {', '.join(body)}")


@app.command("rm")
@grouped_options
def remove_source(name: Name, *, registry: RegistryHttp) -> None:
    """Delete a source. Its models stay in the catalogue.

    Example: `model-registry sources rm gpu_1`
    """
    registry.ask(Call("DELETE", _path(name), lambda _content: None))
    typer.echo(f"deleted {printable(name)}")


@app.command("refresh")
@grouped_options
def refresh_source(name: Name, dry_run: DryRun = False, *, registry: RegistryHttp) -> None:
    """Ask a source now, and print what its answer does.

    Example: `model-registry sources refresh gpu_1 --dry-run`
    """
    query = {"dry_run": True if dry_run else None}
    done = registry.ask(Call("POST", f"{_path(name)}/refresh", json_object, query))
    with registry.expect_shape():
        if done.get("asking"):
            typer.echo(f"It has not answered yet. Look at it later: model-registry sources get {printable(name)}")
            return
        _print_report(done["report"])
        for warning in done.get("warnings", ()):
            typer.echo(f"{typer.style('warning', fg='yellow')}  {printable(warning)}")
        typer.echo("Nothing was written." if dry_run else f"revision {done['revision']}")


def _path(name: str) -> str:
    return f"{_SOURCES}/{quoted(name)}"


def _print_line(one: Json) -> None:
    name = one["state"] if one["active"] else "inactive"
    state = typer.style(f"{name:<8}", fg=_STATES.get(name, "white"))
    facts = [one["name"], one["kind"], *([one["address"]] if one["address"] else []), _models(one)]
    if one["skipped_count"]:
        facts.append(f"{one['skipped_count']} skipped")
    facts.append(f"last answered {one['last_good_at'][:19]}" if one["last_good_at"] else "never answered")
    error = f"  ({printable(one['error'])})" if one["error"] else ""
    typer.echo(f"{state} {'  '.join(map(printable, facts))}{error}")


def _models(one: Json) -> str:
    return "1 model" if one["models"] == 1 else f"{one['models']} models"


def _print(one: Json) -> None:
    state = typer.style(one["state"], fg=_STATES.get(one["state"], "white"))
    typer.echo(f"{printable(one['name'])}  {one['kind']}  {printable(one['address'] or '')}")
    typer.echo(f"{state}{'' if one['active'] else ', not asked (inactive)'}, {_models(one)}")
    times = (("last answered", "last_good_at"), ("failing since", "failing_since"), ("asked next", "next_at"))
    for label, key in times:
        if one[key]:
            typer.echo(f"{label}: {one[key][:19]}")
    if changes := ", ".join(f"{n} {_COUNTS.get(what, what)}" for what, n in one["counts"].items() if n):
        typer.echo(f"last change: {changes}")
    if one["error"]:
        typer.echo(f"error: {printable(one['error'])}")
    if one["environment_variable"]:
        typer.echo(f"made by the environment variable {one['environment_variable']}: change it there")
    for entry in one["skipped"][:_MOST_SKIPPED]:
        typer.echo(f"skipped {printable(entry['name'])}: {printable(entry['reason'])}")
    if one["skipped_count"] > _MOST_SKIPPED:
        typer.echo(f"and {one['skipped_count'] - _MOST_SKIPPED} more; --json lists the first hundred")
    for entry in one["passed_over"][:_MOST_SKIPPED]:
        typer.echo(f"passed over {printable(entry['name'])}: {printable(entry['reason'])}")
    if (count := one["counts"].get("passed_over", 0)) > _MOST_SKIPPED:
        typer.echo(f"and {count - _MOST_SKIPPED} more passed over; --json lists the first hundred")


def _print_report(report: list[Json]) -> None:
    for entry in report:
        if colour := _COLOURS.get(entry["action"]):
            detail = entry["reason"] or ", ".join(entry["fields"])
            shown = f": {printable(detail)}" if detail else ""
            action = typer.style(f"{entry['action']:<8}", fg=colour)
            typer.echo(f"{action} {entry['kind']} {printable(entry['name'])}{shown}")
    counts = {action: sum(entry["action"] == action for entry in report) for action in (*_COLOURS, "unchanged")}
    typer.echo(", ".join(f"{number} {action}" for action, number in counts.items()))
