"""`model-registry model-services jobs`, `job` and `train`: trainings that outlive the request for them, over HTTP."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from model_registry.cli.output import print_json, printable
from model_registry.cli.registry import RegistryHttp, grouped_options
from model_registry.client.requests import Call, Json, json_object, quoted

JobId = Annotated[str, typer.Argument(help="The job's id.", metavar="JOB_ID")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_COLOURS = {"succeeded": "green", "running": "yellow", "queued": "yellow", "failed": "red", "unknown": "red"}
_SHOWN = ("status", "current_epoch", "epoch_progress", "current_loss", "validation_loss", "progress_info")
_FAILED = 1


@grouped_options
def jobs(
    status: Annotated[str | None, typer.Option(help="Only jobs in this state, such as running.")] = None,
    model_type: Annotated[str | None, typer.Option("--type", help="Only jobs of this model type.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Most jobs shown.")] = 20,
    as_json: AsJson = False,
    *,
    registry: RegistryHttp,
) -> None:
    """List jobs, the newest first.

    Example: `model-registry model-services jobs --status running`
    """
    filters = {"status": status, "model_type": model_type, "limit": limit}
    page = registry.ask(Call("GET", "/jobs", json_object, filters))
    if as_json:
        print_json(page)
        return
    with registry.expect_shape():
        for item in page["items"]:
            when = str(item["created_at"])[:19].replace("T", " ")
            where = printable(item["service_id"] or "-")
            typer.echo(f"{item['job_id']}  {when}  {_coloured(item)}  {printable(item['model_type'])}  {where}")
        if not page["items"]:
            typer.echo("No jobs.")
        if page["count"] > len(page["items"]):
            typer.echo(f"{page['count'] - len(page['items'])} more: --limit")
        if not page["complete"]:
            typer.echo(f"Only those of one replica: {printable(page['reason'])}", err=True)


@grouped_options
def job(
    job_id: JobId,
    follow: Annotated[bool, typer.Option("--follow", help="Print every change until it has ended.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel it, if its training was not sent.")] = False,
    as_json: AsJson = False,
    *,
    registry: RegistryHttp,
) -> None:
    """Show a job, follow it to its end, or cancel it. Exit code 1 when it ended and did not succeed.

    Example: `model-registry model-services job 0b8f... --follow`
    """
    if cancel:
        view = registry.ask(Call("DELETE", f"/jobs/{quoted(job_id)}", json_object))
    elif follow:
        view = _followed(registry, job_id, as_json=as_json)
    else:
        view = registry.ask(Call("GET", f"/jobs/{quoted(job_id)}", json_object))
    if as_json and (cancel or not follow):
        print_json(view)
    elif not as_json:
        with registry.expect_shape():
            _print_job(view)
    _end(view)


@grouped_options
def train(
    model_type: Annotated[str, typer.Argument(help="The model type.", metavar="MODEL_TYPE")],
    config: Annotated[str, typer.Option(help="The training's configuration, as JSON.")] = "{}",
    key: Annotated[
        str | None, typer.Option("--idempotency-key", help="Sent again with it, it is the same job.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Print every change until it has ended.")] = False,
    *,
    registry: RegistryHttp,
) -> None:
    """Begin a training as a job, and print its id.

    Example: `model-registry model-services train LSTM --config '{"epochs": 50}' --follow`
    """
    headers = {"Prefer": "respond-async"} | ({"Idempotency-Key": key} if key else {})
    body = {"model_type": model_type, "config": _configuration(config)}
    begun = registry.ask(Call("POST", "/train", json_object, body=body, headers=headers))
    with registry.expect_shape():
        typer.echo(begun["job_id"])
    if follow:
        view = _followed(registry, begun["job_id"], as_json=False)
        with registry.expect_shape():
            _print_job(view)
        _end(view)


def _followed(registry: RegistryHttp, job_id: str, *, as_json: bool) -> Json:
    """Print every change, and return the job at its end."""
    from model_registry.client.blocking import Client

    view: Json = {}
    with Client(registry.url, registry.api_key) as client:
        for view in client.follow_job(job_id):
            _print_change(view, as_json=as_json)
    return view


def _end(view: Json) -> None:
    from model_registry.entities.service_job import ENDED

    if view.get("status") in ENDED and view["status"] not in {"succeeded", "cancelled"}:
        raise typer.Exit(_FAILED)


def _configuration(text: str) -> Any:  # noqa: ANN401 (any JSON)
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"--config is no JSON: {error}") from error


def _print_change(view: Json, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(view, ensure_ascii=False))
        return
    progress = view.get("progress") or {}
    facts = ", ".join(f"{name} {progress[name]}" for name in _SHOWN if progress.get(name) is not None)
    line = " ".join(part for part in (view["phase"], facts, view.get("detail") or "") if part)
    typer.echo(printable(line))


def _print_job(view: Json) -> None:
    typer.echo(f"{view['job_id']}  {_coloured(view)}")
    for name in ("model_type", "model_name", "service_id", "created_at", "started_at", "finished_at", "detail"):
        if view.get(name):
            typer.echo(f"  {name}: {printable(view[name])}")
    if view.get("error"):
        typer.echo(f"  error: {printable(view['error']['message'])} ({view['error']['code']})")
    if view.get("result") is not None:
        typer.echo(f"  result: {printable(json.dumps(view['result'], ensure_ascii=False))}")
    elif view.get("result_kept") is False:
        typer.echo(f"  result: {view['result_bytes']:,} bytes, more than are kept")


def _coloured(view: Json) -> str:
    status = str(view["status"])
    return typer.style(f"{status:<9}", fg=_COLOURS.get(status))
