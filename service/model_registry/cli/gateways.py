"""`model-registry gateways ...`: the programs that take requests for models, and their configurations."""

from __future__ import annotations

import typer

from model_registry.cli import gateways_import

app = typer.Typer(help="Gateways: bring existing configurations into the registry.", no_args_is_help=True)

app.command("import")(gateways_import.import_)


@app.callback()
def _group() -> None:
    """Keep the command's name: a group of one command would lose it."""
