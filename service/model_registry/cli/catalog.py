"""`model-registry catalog ...`: the whole catalogue as one file, out and in. JSON, or YAML for people.

What a file means is `garden/document_import.py`'s, run by the registry.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from model_registry.cli.import_summary import printable
from model_registry.cli.output_file import write_output
from model_registry.cli.registry import ApiKey, RegistryHttp, RegistryUrl
from model_registry.client.address import DEFAULT_URL
from model_registry.client.operations import DOCUMENT
from model_registry.client.requests import Call, enveloped, json_object
from model_registry.errors import InvalidModel

app = typer.Typer(help="The catalogue as one file, models_registry.json or YAML.", no_args_is_help=True)

_YAML = frozenset({".yaml", ".yml"})
_COLOURS = {"created": "green", "changed": "yellow", "ignored": "red"}

Out = Annotated[Path, typer.Argument(help="Where it goes; .yaml and .yml mean YAML.", metavar="FILE", dir_okay=False)]
In = Annotated[
    Path, typer.Argument(help="A JSON or YAML file of the format.", metavar="FILE", exists=True, dir_okay=False)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and write nothing.")]


@app.command()
def export(file: Out, registry: RegistryUrl = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """Write providers, categories, models and aliases to a file. What uses them is no part of it.

    Example: `model-registry catalog export models_registry.json`
    """
    at = RegistryHttp(registry, api_key)
    document = at.ask(Call("GET", DOCUMENT, json_object))
    with at.expect_shape():
        count = len(document["models"])
    write_output(file, _written(document, file))
    typer.echo(f"{count} models in {file}")


@app.command("import")
def import_(file: In, dry_run: DryRun = False, registry: RegistryUrl = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """Bring such a file into the registry, in one transaction.

    What the file says becomes so; models it does not name, and facts it leaves out, stay as they are.

    Example: `model-registry catalog import models_registry.json --dry-run`
    """
    at = RegistryHttp(registry, api_key)
    done = at.ask(Call("PUT", DOCUMENT, enveloped, {"dry_run": dry_run or None}, content=_read(file)))
    with at.expect_shape():
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
        raise InvalidModel(f"{file} is no YAML that could be such a document: {error}") from error


def _print(done: dict[str, Any]) -> None:
    for entry in done["report"]:
        if colour := _COLOURS.get(entry["action"]):
            detail = f": {printable(entry['detail'])}" if entry["detail"] else ""
            action = typer.style(f"{entry['action']:<8}", fg=colour)
            typer.echo(f"{action} {entry['kind']} {printable(entry['name'])}{detail}")
    counts = ", ".join(f"{done[action]} {action}" for action in ("created", "changed", "unchanged", "ignored"))
    typer.echo(f"{counts}, revision {done['revision']}")
    if done["dry_run"]:
        typer.echo("Nothing was written.")
