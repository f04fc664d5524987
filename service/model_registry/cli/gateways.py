"""`model-registry gateways ...`: the programs that take requests for models."""

from __future__ import annotations

import typer

from model_registry.cli.gateway_environment import env
from model_registry.cli.sync import sync

app = typer.Typer(help="The programs that take requests for models, and what they need.", no_args_is_help=True)

app.command("env")(env)
app.command("sync")(sync)
