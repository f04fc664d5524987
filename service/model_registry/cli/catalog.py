"""`model-registry catalog ...`: export and import of the whole catalogue as one JSON or YAML file.

The registry plans the import of a file: `garden/document.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from model_registry.cli.output import printable, write_output
from model_registry.cli.registry import RegistryHttp, grouped_options
from model_registry.client.requests import DOCUMENT, Call, enveloped, json_object
from model_registry.errors import InvalidModel

app = typer.Typer(
    help="Export and import the catalogue as one file: models_registry.json or YAML.", no_args_is_help=True
)

_YAML = frozenset({".yaml", ".yml"})
_COLOURS = {"created": "green", "changed": "yellow", "ignored": "red"}

Out = Annotated[Path, typer.Argument(help="File to write; .yaml and .yml select YAML.", metavar="FILE", dir_okay=False)]
In = Annotated[Path, typer.Argument(help="Catalogue file, JSON or YAML.", metavar="FILE", exists=True, dir_okay=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would change, and write nothing.")]


@app.command()
@grouped_options
def export(file: Out, *, registry: RegistryHttp) -> None:
    """Export providers, categories, models and aliases to a file, without the functions and mappings that use them.

    Example: `model-registry catalog export models_registry.json`
    """
    document = registry.ask(Call("GET", DOCUMENT, json_object))
    with registry.expect_shape():
        count = len(document["models"])
    write_output(file, _written(document, file))
    typer.echo(f"{count} models in {file}")


@app.command("import")
@grouped_options
def import_(file: In, dry_run: DryRun = False, *, registry: RegistryHttp) -> None:
    """Import a catalogue file into the registry, in one transaction.

    Values in the file overwrite stored ones; models and facts not in the file stay unchanged.

    Example: `model-registry catalog import models_registry.json --dry-run`
    """
    done = registry.ask(Call("PUT", DOCUMENT, enveloped, {"dry_run": dry_run or None}, content=_read(file)))
    with registry.expect_shape():
        _print(done)


def _written(document: dict[str, Any], file: Path) -> str:
    if file.suffix not in _YAML:
        return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    import yaml

    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False)


def _read(file: Path) -> bytes:
    """The file as JSON."""
    content = file.read_bytes()
    if file.suffix not in _YAML:
        return content
    import yaml

    try:
        # YAML knows dates, JSON does not.
        return json.dumps(yaml.safe_load(content), default=lambda value: value.isoformat()).encode()
    except (yaml.YAMLError, AttributeError, UnicodeDecodeError) as error:
        raise InvalidModel(f"{file} is not a valid YAML catalogue: {error}") from error


def _print(done: dict[str, Any]) -> None:
    for entry in done["report"]:
        if colour := _COLOURS.get(entry["action"]):
            detail = f": {printable(entry['detail'])}" if entry["detail"] else ""
            action = typer.style(f"{entry['action']:<8}", fg=colour)
            typer.echo(f"{action} {entry['kind']} {printable(entry['name'])}{detail}")
    for warning in done.get("warnings", ()):
        typer.echo(f"{typer.style('warning', fg='yellow')}  {printable(warning)}")
    counts = ", ".join(f"{done[action]} {action}" for action in ("created", "changed", "unchanged", "ignored"))
    typer.echo(f"{counts}, revision {done['revision']}")
    if done["dry_run"]:
        typer.echo("Nothing was written.")
