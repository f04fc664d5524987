"""`model-registry knowledge export ...`: the catalogue in formats of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from model_registry.cli.output import write_output
from model_registry.cli.registry import RegistryHttp, grouped_options
from model_registry.client.requests import Call, json_object
from model_registry.imports.sources.csv_rows import write_csv

app = typer.Typer(help="Export the catalogue in formats of other programs.", no_args_is_help=True)

Output = Annotated[Path | None, typer.Option("--output", "-o", help="File to write; by default standard output.")]
All = Annotated[bool, typer.Option("--all", help="Include models that are not offered: inactive, deprecated, ...")]


@app.command("csv")
@grouped_options
def export_csv(
    output: Output = None,
    everything: All = False,
    *,
    registry: RegistryHttp,
) -> None:
    """Export a CSV table with one row per model and one column per fact, as read by `knowledge import csv`.

    Example: `model-registry knowledge export csv --all -o models.csv`
    """
    _write(write_csv(_models(registry, everything=everything)), output)


def _models(registry: RegistryHttp, *, everything: bool) -> list[dict[str, Any]]:
    return [model for model in _items(registry, "/api/models?offset=0") if everything or model["offered"]]


def _items(registry: RegistryHttp, path: str) -> list[dict[str, Any]]:
    return registry.ask(Call("GET", path, lambda content: list(json_object(content)["items"])))


def _write(text: str, output: Path | None) -> None:
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_output(output, text)
        typer.echo(f"wrote {output}", err=True)
