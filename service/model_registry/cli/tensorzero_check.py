"""`model-registry tensorzero check`: validate a configuration; print each fault, its place and its fix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from model_registry.cli.errors import REFUSED
from model_registry.cli.output import print_json, printable
from model_registry.cli.publication import joined
from model_registry.cli.registry import ReaderKey, RegistryHttp
from model_registry.client.requests import DEFAULT_URL, Call, json_object

Paths = Annotated[
    list[str] | None,
    typer.Argument(
        help="TOML files, directories or globs of one project. By default the registry's own configuration.",
        metavar="PATH...",
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url", envvar="MODEL_REGISTRY_URL", help="URL of a registry to run the check; the project is sent there."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")]

_PATH = "/api/tensorzero/check"


def check(paths: Paths = None, url: Url = None, api_key: ReaderKey = None, as_json: Json = False) -> None:
    """Validate a TensorZero project or a registry's configuration. Exit code 0: accepted; 1: refused.

    Projects are checked on this machine, by the rules and, with the extra `gateway`, by the real gateway.

    Example: `model-registry tensorzero check config/tensorzero.toml`
    """
    findings = _locally(paths) if paths and url is None else _at(RegistryHttp(url or DEFAULT_URL, api_key), paths)
    if as_json:
        print_json(findings)
    else:
        _print(findings)
    if not findings["accepted"]:
        raise typer.Exit(REFUSED)


def _locally(paths: Iterable[str]) -> Mapping[str, Any]:
    from model_registry.errors import GatewayUnavailable
    from model_registry.gateways.tensorzero.reading.project_files import named_outside, read_whole_project
    from model_registry.gateways.tensorzero.validation.gateway_process import GatewayProcess
    from model_registry.gateways.tensorzero.validation.validate import check_project, findings_view

    files, configuration = read_whole_project(paths)
    try:
        with GatewayProcess(readable=named_outside(files, configuration)) as gateway:
            findings = check_project(files, gateway, configuration=configuration, trusted=True)
    except GatewayUnavailable:
        findings = check_project(files, None, configuration=configuration)
    return findings_view(findings)


def _at(registry: RegistryHttp, paths: Iterable[str] | None) -> Mapping[str, Any]:
    from model_registry.gateways.tensorzero.reading.project_files import read_whole_project

    files, configuration = read_whole_project(paths) if paths else ({}, ())
    texts = {path: content.decode("utf-8", "replace") for path, content in files.items()}
    named = {"configuration": list(configuration)} if paths else {}
    return registry.ask(Call("POST", _PATH, json_object, body={"files": texts, **named}))


def _print(findings: Mapping[str, Any]) -> None:
    fine, gateway = findings["accepted"], findings["gateway"]
    _print_list("Faults", findings["faults"], "red")
    _print_list("Deprecated", findings["deprecated"], "yellow")
    _print_list("Warnings", findings.get("warnings", []), "yellow")
    left_out = [(f"{row['kind']} {row['name']}", joined(row["reasons"])) for row in findings.get("excluded", ())]
    rows = [{"where": name, "message": reason} for name, reason in left_out]
    _print_list("Left out of what gateways get", rows, "yellow")
    _print_gateway(gateway, fine=fine)
    typer.secho("Fine" if fine else "Refused", fg="green" if fine else "red", bold=True)


def _print_gateway(gateway: Mapping[str, Any], *, fine: bool) -> None:
    """Print the gateway's own answer. What it loads may still be refused, for the faults above."""
    if not gateway["asked"]:
        typer.echo(f"The gateway was not asked: {gateway['message']}")
        return
    if not gateway["accepted"]:
        typer.secho(f"The gateway refuses it: {printable(gateway['message'])}", fg="red")
    elif fine:
        typer.secho("The gateway accepts it", fg="green")
    else:
        what = "The gateway loads the rest of it" if gateway.get("by_rules") else "The gateway would load it"
        typer.secho(f"{what}; it is refused for the faults above", fg="yellow")
    for warning in gateway["warnings"]:
        typer.echo(f"  {printable(warning)}")


def _print_list(title: str, reasons: list[dict[str, str]], colour: str) -> None:
    if reasons:
        typer.secho(f"{title} ({len(reasons)})", fg=colour, bold=True)
    for reason in reasons:
        typer.echo(f"  {printable(reason['where'])}\n    {printable(reason['message'])}")
