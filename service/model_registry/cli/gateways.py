"""`model-registry gateways ...`: the programs that take requests for models."""

from __future__ import annotations

import typer

from model_registry.cli.gateway_environment import env
from model_registry.cli.gateways_import import import_
from model_registry.cli.sync import sync

app = typer.Typer(
    help="The programs that take requests for models: what they need, and configurations that exist already.",
    no_args_is_help=True,
)

app.command("env")(env)
app.command("sync")(sync)
app.command("import")(import_)
