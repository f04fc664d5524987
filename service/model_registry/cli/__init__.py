"""The command `model-registry`: one file per command group. Commands parse and print; the work is done elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from model_registry import __version__
from model_registry.cli.lazy_commands import LazyGroup

if TYPE_CHECKING:
    from model_registry.errors import RegistryError


class _Root(LazyGroup):
    """A test compares the lines with what the commands say of themselves."""

    lazy: ClassVar = {
        "up": (
            "up:up",
            "Start Postgres, PostgREST, NATS and the service, print their addresses, and run until Ctrl-C.",
        ),
        "serve": (
            "serve:serve",
            "Run the service, configured by environment variables: see docs/reference/settings.md.",
        ),
        "training-service": (
            "training_service:training_service",
            "Serve one framework's models as a training service, for the registry and other clients to discover.",
        ),
        "history": ("history:history", "List writes to the configuration with time, author and size, newest first."),
        "diff": ("history:diff", "Compare two revisions of the configuration."),
        "rollback": (
            "history:rollback",
            "Restore the configuration of an earlier revision, as a new revision, in one transaction.",
        ),
        "catalog": ("catalog:app", "Export and import the catalogue as one file: models_registry.json or YAML."),
        "db": ("db:app", "Manage the tables, views and roles of the registry's database."),
        "gateways": (
            "gateways:app",
            "The programs that take requests for models: what each carries, gets, needs, and which revision it has.",
        ),
        "keys": (
            "keys:app",
            (
                "Manage API keys. Needs POSTGREST_URL and POSTGREST_KEY, or SUPABASE_URL and its key; "
                "`up` writes them to stack.env."
            ),
        ),
        "knowledge": (
            "knowledge:app",
            "Import facts about models from other sources, or export the catalogue for other programs.",
        ),
        "model-services": (
            "model_services:app",
            "Instances of model services: register, drain, retire; choose the version that answers.",
        ),
        "node": ("node:app", "Run on a GPU node: report its loaded models to the registry."),
        "sources": (
            "sources:app",
            "What the registry asks again and again for models: add sources, see how they answer, ask them now.",
        ),
        "tensorzero": (
            "tensorzero:app",
            "Import, render, check and deliver the TensorZero gateway's configuration.",
        ),
    }


_ON_TERMINAL = sys.stdout.isatty()
_WIDTH = 160
"""Of help that a program or a file gets: no line about a command is longer."""

app = typer.Typer(
    name="model-registry",
    cls=_Root,
    help="A registry of AI models: one catalogue, the TensorZero configuration rendered from it, and what runs where.",
    no_args_is_help=True,
    # Frames and colours are for a terminal, and take three times as long as the rest. Elsewhere lines are whole.
    rich_markup_mode="markdown" if _ON_TERMINAL else None,
    context_settings={} if _ON_TERMINAL else {"terminal_width": _WIDTH},
    pretty_exceptions_show_locals=False,
)


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
    from model_registry.errors import RegistryError

    try:
        app()
    except RegistryError as error:
        sys.exit(_report(error))
    except OSError as error:
        from model_registry.cli.errors import OUT_OF_REACH
        from model_registry.cli.output import printable

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


def _report(error: RegistryError) -> int:
    """Print an error with its reasons and choices. Returns the exit code."""
    from model_registry.cli.errors import choices, exit_code
    from model_registry.cli.output import printable
    from model_registry.entities.secret_text import mask_secrets

    # Line by line: a message may quote several lines of a log, with text from anywhere.
    message = "\n".join(map(printable, mask_secrets(error.message).split("\n")))
    typer.secho(f"error: {message}", err=True, fg="red")
    for reason in error.reasons:
        if str(reason.message) not in error.message:
            typer.echo(f"  {printable(mask_secrets(str(reason)))}", err=True)
    for line in choices(error):
        typer.echo(f"  {printable(mask_secrets(line))}", err=True)
    return exit_code(error)
