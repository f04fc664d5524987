"""`model-registry model-services ...`: instances of model services, and which version answers.

The services that use models, with their functions, are another thing: they have mappings.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import typer

from model_registry.cli import jobs
from model_registry.cli.output import print_json, printable
from model_registry.cli.registry import RegistryHttp, grouped_options
from model_registry.client.requests import Call, Json, json_object, quoted

app = typer.Typer(
    help="Instances of model services: register, drain, retire; choose the version that answers.", no_args_is_help=True
)

app.command("jobs")(jobs.jobs)
app.command("job")(jobs.job)
app.command("train")(jobs.train)

_COLOURS = {"healthy": "green", "busy": "green", "warming": "yellow", "degraded": "yellow", "rate-limited": "yellow"}
_INSTANCES = "/services"

ServiceId = Annotated[str, typer.Argument(help="The instance's service_id.", metavar="SERVICE_ID")]
Weight = Annotated[float | None, typer.Option("--weight", help="Share of the requests, with the strategy `weighted`.")]
MostRequests = Annotated[
    int | None, typer.Option("--max-concurrent-requests", min=1, help="Most requests at once, from each replica.")
]
Timeout = Annotated[float | None, typer.Option("--timeout", help="Seconds for a whole request.")]
Version = Annotated[str | None, typer.Option("--model-version", help="The version of the model that it serves.")]
Ttl = Annotated[float | None, typer.Option("--ttl", min=1, help="Seconds after which it is gone unless it is renewed.")]
Labels = Annotated[list[str] | None, typer.Option("--label", help="KEY=VALUE. Repeatable; replaces all labels.")]
HealthPath = Annotated[str | None, typer.Option("--health-path", help="Path of its health check; /health by default.")]
Prepared = Annotated[
    bool | None,
    typer.Option("--prepared/--direct", help="Whether training data is prepared, and waited for, before training."),
]
Unchecked = Annotated[bool, typer.Option("--no-health-check", help="Never probe it.")]
Reason = Annotated[str | None, typer.Option(help="Why: shown with its state.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True, slots=True)
class Fields:
    """Settings of an instance: options of a command. What is None is not changed."""

    weight: Weight = None
    max_concurrent_requests: MostRequests = None
    timeout: Timeout = None
    model_version: Version = None
    label: Labels = None
    health_path: HealthPath = None
    prepared: Prepared = None

    def given(self) -> Json:
        """Those that are to be written."""
        flow = "prepared" if self.prepared else "direct"
        fields: Json = {
            "weight": self.weight,
            "max_concurrent_requests": self.max_concurrent_requests,
            "timeout": self.timeout,
            "version": self.model_version,
            "labels": None if self.label is None else dict(map(_pair, self.label)),
            "health": None if self.health_path is None else {"path": self.health_path},
            "training_flow": None if self.prepared is None else flow,
        }
        return {name: value for name, value in fields.items() if value is not None}


@app.command("list")
@grouped_options
def list_instances(
    model_type: Annotated[str | None, typer.Option("--type", help="Only instances of this model type.")] = None,
    state: Annotated[str | None, typer.Option(help="Only instances in this state, such as offline.")] = None,
    as_json: AsJson = False,
    *,
    registry: RegistryHttp,
) -> None:
    """List instances, with how they are and why.

    Example: `model-registry model-services list --state offline`
    """
    page = registry.ask(Call("GET", _INSTANCES, json_object, {"model_type": model_type, "state": state}))
    with registry.expect_shape():
        if as_json:
            print_json(page["items"])
            return
        for one in page["items"]:
            _print_line(one)
        if not page["items"]:
            typer.echo("No instances." if state is None else f"No instance is {state}.")


@app.command()
@grouped_options
def get(service_id: ServiceId, *, registry: RegistryHttp) -> None:
    """Print an instance as JSON: what was registered, and how it is.

    Example: `model-registry model-services get lstm-1`
    """
    print_json(registry.ask(Call("GET", _path(service_id), json_object)))


@app.command()
@grouped_options
def register(
    service_id: ServiceId,
    service_url: Annotated[str, typer.Argument(help="Where it answers, such as http://10.0.0.5:8001.", metavar="URL")],
    model_type: Annotated[str, typer.Option("--type", help="Its model type, such as LSTM.")],
    capability: Annotated[
        list[str],
        typer.Option(help="prediction, multistep_prediction, forecasting, training, or another. Repeatable."),
    ],
    ttl: Ttl = None,
    unchecked: Unchecked = False,
    *,
    fields: Fields,
    registry: RegistryHttp,
) -> None:
    """Register an instance, or update it. Options that are left out stay as they are.

    Example: `model-registry model-services register lstm-1 http://10.0.0.5:8001 --type LSTM --capability prediction`
    """
    body: Json = {"service_id": service_id, "service_url": service_url, "model_type": model_type}
    body |= {"capabilities": capability, **fields.given()}
    if ttl is not None:
        body["ttl_seconds"] = ttl
    if unchecked:
        body["health"] = {"check": "none"}
    _print_line(registry.ask(Call("POST", f"{_INSTANCES}/register", json_object, body=body)))


@app.command("set")
@grouped_options
def set_(service_id: ServiceId, *, fields: Fields, registry: RegistryHttp) -> None:
    """Change some settings of an instance.

    Example: `model-registry model-services set lstm-1 --weight 3 --label zone=cellar`
    """
    given = fields.given()
    if not given:
        raise typer.BadParameter("name at least one setting, such as --weight 3")
    _print_line(registry.ask(Call("PATCH", _path(service_id), json_object, body=given)))


@app.command()
@grouped_options
def renew(service_id: ServiceId, *, registry: RegistryHttp) -> None:
    """Renew an instance that has a time to live.

    Example: `model-registry model-services renew lstm-1`
    """
    _print_line(registry.ask(Call("POST", _path(service_id, "/renew"), json_object)))


@app.command()
@grouped_options
def drain(service_id: ServiceId, reason: Reason = None, *, registry: RegistryHttp) -> None:
    """Send an instance no new requests. It stays registered.

    Example: `model-registry model-services drain lstm-1 --reason "new disk"`
    """
    _print_line(registry.ask(_decision(service_id, "/drain", reason)))


@app.command()
@grouped_options
def retire(service_id: ServiceId, reason: Reason = None, *, registry: RegistryHttp) -> None:
    """Send an instance no new requests, and delete it when the running ones have ended.

    Example: `model-registry model-services retire lstm-1`
    """
    _print_line(registry.ask(_decision(service_id, "/retire", reason)))


@app.command()
@grouped_options
def activate(service_id: ServiceId, *, registry: RegistryHttp) -> None:
    """Send an instance requests again, after `drain` or `retire`.

    Example: `model-registry model-services activate lstm-1`
    """
    _print_line(registry.ask(_decision(service_id, "/activate", None)))


@app.command()
@grouped_options
def rm(service_id: ServiceId, *, registry: RegistryHttp) -> None:
    """Delete an instance at once. Running requests go on; `retire` waits for them.

    Example: `model-registry model-services rm lstm-1`
    """
    registry.ask(Call("DELETE", _path(service_id), lambda _content: None))
    typer.echo(f"deleted {printable(service_id)}")


@app.command()
@grouped_options
def switch(
    model_type: Annotated[str, typer.Argument(help="The model type, such as LSTM.", metavar="MODEL_TYPE")],
    version: Annotated[
        str | None,
        typer.Argument(
            help="The version that answers; `latest` is the newest by its training date.", metavar="VERSION"
        ),
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option("--weight", help="VERSION=SHARE of the requests. Repeatable, instead of VERSION."),
    ] = None,
    *,
    registry: RegistryHttp,
) -> None:
    """Choose the version that answers requests that ask for none. Running requests end where they are.

    Example: `model-registry model-services switch LSTM 20261130_0900`
    """
    if (version is None) == (not weight):
        raise typer.BadParameter("give either VERSION or --weight VERSION=SHARE")
    shares = {name: _number(share) for name, share in map(_pair, weight or ())}
    body = {"selected_version": version, "version_weights": shares}
    found = registry.ask(Call("PATCH", f"/api/model-services/{quoted(model_type)}", json_object, body=body))
    with registry.expect_shape():
        divided = ", ".join(f"{name} {share:g}" for name, share in found["version_weights"].items())
        typer.echo(f"{printable(found['model_type'])}: {printable(version or divided)}")
    _warn_of_absent(registry, model_type, {version} - {None, "latest"} if version else set(shares))


def _warn_of_absent(registry: RegistryHttp, model_type: str, chosen: Iterable[str]) -> None:
    """Say which of the versions chosen no instance has now: it may be on its way, or misspelt."""
    page = registry.ask(Call("GET", _INSTANCES, json_object, {"model_type": model_type}))
    with registry.expect_shape():
        there = {name for one in page["items"] for name in (*one["versions"], one["version"]) if name}
    for name in sorted(set(chosen) - there):
        shown = ", ".join(map(printable, sorted(there))) or "none"
        warning = typer.style("warning", fg="yellow")
        typer.echo(f"{warning}  no instance has {printable(name)}; known: {shown}", err=True)


def _path(service_id: str, rest: str = "") -> str:
    return f"{_INSTANCES}/{quoted(service_id)}{rest}"


def _decision(service_id: str, what: str, reason: str | None) -> Call[Json]:
    body = {"reason": reason} if reason is not None else None
    return Call("POST", _path(service_id, what), json_object, body=body)


def _pair(given: str) -> tuple[str, str]:
    key, separator, value = given.partition("=")
    if not separator or not key:
        raise typer.BadParameter(f"{given!r} is not KEY=VALUE")
    return key, value


def _number(given: str) -> float:
    try:
        return float(given)
    except ValueError:
        raise typer.BadParameter(f"{given!r} is not a number") from None


def _print_line(one: Json) -> None:
    state = typer.style(f"{one['state']:<13}", fg=_COLOURS.get(one["state"], "red"))
    facts = [one["service_id"], one["model_type"], one["service_url"], *([one["version"]] if one["version"] else [])]
    reason = f"  ({printable(one['state_reason'])})" if one["state_reason"] else ""
    typer.echo(f"{state} {'  '.join(map(printable, facts))}  {one['in_flight']} in flight{reason}")
