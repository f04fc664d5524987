"""`model-registry gateways ...`: the programs that take requests for models."""

from __future__ import annotations

import typer

from model_registry.cli.gateway_environment import env

app = typer.Typer(help="The programs that take requests for models, and what they need.", no_args_is_help=True)

app.command("env")(env)


@app.callback()
def _group() -> None:
    """Keep the only command a command of a group."""
