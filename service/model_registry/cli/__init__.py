"""The command `model-registry`: one file per command group. Commands parse and print; the work is done elsewhere."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from model_registry import __version__
from model_registry.cli import (
    catalog,
    db,
    gateways,
    history,
    jobs,
    keys,
    knowledge,
    model_services,
    node,
    serve,
    sources,
    tensorzero,
    training_service,
    up,
)
from model_registry.cli.errors import OUT_OF_REACH, choices, exit_code
from model_registry.cli.output import printable
from model_registry.entities.secret_text import mask_secrets
from model_registry.errors import RegistryError

app = typer.Typer(
    name="model-registry",
    help="A registry of AI models: one catalogue, the TensorZero configuration rendered from it, and what runs where.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
)
app.command("up")(up.up)
app.command("serve")(serve.serve)
app.command("training-service")(training_service.training_service)
app.command("history")(history.history)
app.command("diff")(history.diff)
app.command("rollback")(history.rollback)
app.add_typer(catalog.app, name="catalog")
app.add_typer(db.app, name="db")
app.add_typer(gateways.app, name="gateways")
app.add_typer(keys.app, name="keys")
app.add_typer(knowledge.app, name="knowledge")
app.add_typer(model_services.app, name="model-services")
model_services.app.command("jobs")(jobs.jobs)
model_services.app.command("job")(jobs.job)
model_services.app.command("train")(jobs.train)
app.add_typer(node.app, name="node")
app.add_typer(sources.app, name="sources")
app.add_typer(tensorzero.app, name="tensorzero")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the whole command."""


def main() -> None:
    """Run the command line. Errors of the registry become one message and an exit code, never a traceback."""
    try:
        app()
    except RegistryError as error:
        # Line by line: a message may quote several lines of a log, with text from anywhere.
        message = "\n".join(map(printable, mask_secrets(error.message).split("\n")))
        typer.secho(f"error: {message}", err=True, fg="red")
        for reason in error.reasons:
            if str(reason.message) not in error.message:
                typer.echo(f"  {printable(mask_secrets(str(reason)))}", err=True)
        for line in choices(error):
            typer.echo(f"  {printable(mask_secrets(line))}", err=True)
        sys.exit(exit_code(error))
    except OSError as error:
        # A file or directory that the command was to read or write; nothing else is left to the system's own errors.
        place = f"{error.filename} cannot be used: {error.strerror}" if error.filename else str(error)
        typer.secho(f"error: {printable(place)}", err=True, fg="red")
        sys.exit(OUT_OF_REACH)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("model_registry"):
            raise
        extra = "[nats]" if (error.name or "").split(".")[0] in ("nats", "nkeys") else "[server]"
        typer.secho(
            f"error: {error.name} is not installed. This command needs more than the client; run: "
            f"pip install 'pmoves-model-registry{extra}' (for `up`: [stack]).",
            err=True,
            fg="red",
        )
        sys.exit(3)
