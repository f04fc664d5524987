"""`model-registry gateways status|config|export|diff`: what a gateway gets, and what it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from model_registry.cli import publication
from model_registry.cli.errors import NOT_SERVED
from model_registry.cli.gateways.promotion import describe
from model_registry.cli.gateways.rows import AsJson, Name, in_words, path_of
from model_registry.cli.history import DiffFormat, print_diff
from model_registry.cli.output import print_json, printable
from model_registry.cli.registry import RegistryHttp, grouped_options
from model_registry.client.bundle import unpack_bundle, write_bundle
from model_registry.client.requests import Call, json_object

_Side = Annotated[str, typer.Argument(help="A revision; `served`: what it gets now; `latest`: the newest.")]


@grouped_options
def status(name: Name = "tensorzero", as_json: AsJson = False, *, registry: RegistryHttp) -> None:
    """Show which revision a gateway gets, what is refused, what waits for approval. Exit code 0: it gets what it is to.

    Exit code 5: it does not, because validation refuses it or its rows, or is still running.

    Example: `model-registry gateways status production`
    """
    found = registry.ask(Call("GET", path_of(name, "/status"), json_object))
    with registry.expect_shape():
        if as_json:
            print_json(found)
        else:
            typer.echo(printable(f"{found['gateway']} ({found['kind']}) follows {in_words(found['pinned_revision'])}"))
            publication.print_status(found)
            if found["pin_error"]:
                typer.secho(printable(f"Its revision cannot be had: {found['pin_error']}"), fg="red", err=True)
            promotion = found["promotion"] or {}
            if promotion.get("state") == "pending":
                left = promotion["needed"] - len(promotion["approvals"])
                who = f"asked by {promotion['by']}, {left} more must approve it"
                typer.echo(printable(f"Pending: {describe(promotion)} ({who})"))
        whole = publication.is_complete(found) and not found["pin_error"]
    if not whole:
        raise typer.Exit(NOT_SERVED)


@grouped_options
def config(name: Name = "tensorzero", latest: publication.Latest = False, *, registry: RegistryHttp) -> None:
    """Print a gateway's configuration that the registry serves; its revision goes to standard error.

    Exit code 5: an earlier one, because validation refuses the newest.

    Example: `model-registry gateways config edge > config.yaml`
    """
    content, code = publication.fetch(registry, path_of(name, "/config"), bytes, latest=latest, status=_status(name))
    typer.echo(content, nl=False)
    raise typer.Exit(code)


@grouped_options
def export(
    name: Name,
    directory: Annotated[Path, typer.Argument(help="Directory for the configuration and its files.", metavar="DIR")],
    latest: publication.Latest = False,
    *,
    registry: RegistryHttp,
) -> None:
    """Export a gateway's configuration with its files to a directory; its revision goes to standard error.

    Files of the same name are replaced; other files in the directory are left alone. Exit code 5: an earlier
    configuration, because validation refuses the newest.

    Example: `model-registry gateways export edge ./litellm`
    """
    path = path_of(name, "/bundle")
    files, code = publication.fetch(registry, path, unpack_bundle, latest=latest, status=_status(name))
    write_bundle(files, directory)
    typer.echo(f"{len(files)} file{'s'[: len(files) != 1]} in {directory}")
    raise typer.Exit(code)


@grouped_options
def diff(
    name: Name,
    from_: _Side = "served",
    to: _Side = "latest",
    format_: Annotated[
        DiffFormat,
        typer.Option("--format", help="rows: changed rows with their authors; text: the gateway's files; json."),
    ] = DiffFormat.rows,
    *,
    registry: RegistryHttp,
) -> None:
    """Compare two revisions of what a gateway carries; by default what it gets with the newest.

    Example: `model-registry gateways diff production served latest --format text`
    """
    print_diff(registry, path_of(name, "/diff"), {"from": from_, "to": to}, format_)


def _status(name: str) -> str:
    return path_of(name, "/status")
