"""`model-registry gateways list|get|add|set|rm`: which gateways there are, and what each carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from model_registry.cli.output import print_json, printable
from model_registry.cli.registry import RegistryHttp, grouped_options
from model_registry.client.requests import Call, Json, json_object, quoted

GATEWAYS = "/api/gateways"
_LISTS = frozenset({"has"})
"""Settings that are lists."""

Name = Annotated[str, typer.Argument(help="The gateway's name.", metavar="NAME")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True, slots=True)
class Fields:
    """What a gateway carries, and its settings: options of a command. What is None is not changed."""

    description: Annotated[str | None, typer.Option("--description", help="What it is, for people.")] = None
    content_of: Annotated[
        str | None,
        typer.Option(
            "--content-of", help="The gateway whose functions, sections and files it has; itself, or another."
        ),
    ] = None
    services: Annotated[
        list[str] | None,
        typer.Option("--service", help="A service whose functions it carries; all by default. Repeatable."),
    ] = None
    providers: Annotated[
        list[str] | None, typer.Option("--provider", help="A provider that it carries; all by default. Repeatable.")
    ] = None
    labels: Annotated[
        list[str] | None, typer.Option("--label", help="KEY=VALUE that a node must have to be used. Repeatable.")
    ] = None
    pinned_revision: Annotated[
        int | None, typer.Option("--pin", min=0, help="The revision that it has; the newest by default.")
    ] = None
    everything: Annotated[
        bool, typer.Option("--everything", help="Carry all services, providers and nodes, but for those named here.")
    ] = False
    settings: Annotated[
        list[str] | None,
        typer.Option("--setting", help="KEY=VALUE, such as approval=1 or has=clickhouse,postgres. Repeatable."),
    ] = None

    def given(self, before: Json | None = None) -> Json:
        """Return what is to be written; settings that are not named stay as `before` has them."""
        scope = ("services", "providers", "labels")
        fields: Json = dict.fromkeys(scope) if self.everything else {}
        named = {
            "description": self.description,
            "content_of": self.content_of,
            "services": self.services,
            "providers": self.providers,
            "labels": dict(map(_pair, self.labels)) if self.labels else None,
            "pinned_revision": self.pinned_revision,
        }
        fields |= {name: value for name, value in named.items() if value is not None and value != []}
        if self.settings:
            fields["settings"] = (before or {}) | {key: _value(key, text) for key, text in map(_pair, self.settings)}
        return fields


@grouped_options
def list_gateways(as_json: AsJson = False, *, registry: RegistryHttp) -> None:
    """List gateways: kind, what each carries, and which revision it has.

    Example: `model-registry gateways list`
    """
    page = registry.ask(Call("GET", GATEWAYS, json_object))
    with registry.expect_shape():
        if as_json:
            print_json(page["items"])
            return
        for row in page["items"]:
            print_gateway(row)


@grouped_options
def get(name: Name, *, registry: RegistryHttp) -> None:
    """Print a gateway as JSON.

    Example: `model-registry gateways get tensorzero`
    """
    print_json(registry.ask(Call("GET", path_of(name), json_object)))


@grouped_options
def add(
    name: Name,
    kind: Annotated[str, typer.Option(help="tensorzero, litellm or smg.")],
    *,
    fields: Fields,
    registry: RegistryHttp,
) -> None:
    """Add a gateway. Without options it carries everything, with the functions of the gateway tensorzero.

    Example: `model-registry gateways add edge --kind litellm --provider ollama_local`
    """
    body = {"name": name, "kind": kind, **fields.given()}
    made = registry.ask(Call("POST", GATEWAYS, json_object, body=body))
    with registry.expect_shape():
        print_gateway(made)


@grouped_options
def set_(name: Name, *, fields: Fields, registry: RegistryHttp) -> None:
    """Change what a gateway carries, or its settings. Options that are left out stay as they are.

    Example: `model-registry gateways set edge --provider ollama_local --provider vllm_cellar`
    """
    before = registry.ask(Call("GET", path_of(name), json_object))
    given = fields.given(before.get("settings"))
    if not given:
        raise typer.BadParameter("name at least one field, such as --provider ollama_local")
    changed = registry.ask(Call("PATCH", path_of(name), json_object, body=given))
    with registry.expect_shape():
        print_gateway(changed)


@grouped_options
def rm(name: Name, *, registry: RegistryHttp) -> None:
    """Delete a gateway. Refused while functions, sections or files belong to it.

    Example: `model-registry gateways rm edge`
    """
    registry.ask(Call("DELETE", path_of(name), lambda _content: None))
    typer.echo(f"deleted {printable(name)}")


def path_of(name: str, rest: str = "") -> str:
    """Return a path of a gateway."""
    return f"{GATEWAYS}/{quoted(name)}{rest}"


def in_words(pinned_revision: int | None) -> str:
    """Return which revision a gateway has."""
    return "the newest" if pinned_revision is None else f"revision {pinned_revision}"


def print_gateway(row: Json) -> None:
    """Print a gateway in one line."""
    scope = [f"{what} {', '.join(row[what])}" for what in ("services", "providers") if row[what] is not None]
    scope += [f"nodes with {key}={value}" for key, value in (row["labels"] or {}).items()]
    carries = "; ".join(scope) or "everything"
    promotion = row["promotion"] or {}
    pending = "  (a promotion waits for approvals)" if promotion.get("state") == "pending" else ""
    revision = in_words(row["pinned_revision"])
    line = f"{row['name']:<20} {row['kind']:<10} {revision:<16} content of {row['content_of']}, {carries}{pending}"
    typer.echo(printable(line))


def _pair(given: str) -> tuple[str, str]:
    key, separator, value = given.partition("=")
    if not separator or not key:
        raise typer.BadParameter(f"{given!r} is not KEY=VALUE")
    return key, value


def _value(key: str, text: str) -> object:
    """Read a setting: a number, a list with commas, or a text; nothing is null."""
    if not text:
        return None
    if key in _LISTS:
        return text.split(",")
    return int(text) if text.isdecimal() else text
