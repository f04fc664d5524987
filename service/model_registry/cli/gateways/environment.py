"""`model-registry gateways env`: which environment variables a gateway needs, and which are set where it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from model_registry.cli.gateways.rows import AsJson, Name, path_of
from model_registry.cli.output import print_json, printable
from model_registry.cli.registry import RegistryHttp, grouped_options
from model_registry.client.requests import Call, json_object

_STATES = {True: ("set", "green"), False: ("not set", "red"), None: ("not known", "yellow")}


@grouped_options
def env(
    name: Name = "tensorzero",
    add: Annotated[
        list[str] | None,
        typer.Option("--add", help="Name of a variable that is set there, never its value. Repeatable."),
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", help="Name of a variable that is not set there. Repeatable.")
    ] = None,
    as_json: AsJson = False,
    *,
    registry: RegistryHttp,
) -> None:
    """Show the environment variables that a gateway needs, for whom, and whether they are set where it runs.

    With --add or --remove the registry notes it: what needs a variable that is not set is left out of the gateway's
    configuration. This needs a key with the scope service.

    Example: `model-registry gateways env tensorzero --add OPENAI_API_KEY`
    """
    path = path_of(name, "/environment")
    if add or remove:
        body = {"names": add or [], "missing": remove or []}
        found = registry.ask(Call("POST", path, json_object, body=body))
    else:
        found = registry.ask(Call("GET", path, json_object))
    with registry.expect_shape():
        if as_json:
            print_json(found)
            return
        known = found["environment"]
        typer.echo(f"Set where {name} runs: {'not known' if known is None else ', '.join(known) or 'nothing'}")
        rows = {row["name"]: row for row in (*found["variables"], *found["missing"])}
        named = {row["name"] for row in found["variables"]}
        for variable, row in sorted(rows.items()):
            state, colour = _STATES[row["is_set"]]
            needed_by = ", ".join(row["needed_by"])
            line = f"  {variable:<32} {state:<9} {needed_by}{'' if variable in named else ' (left out)'}"
            typer.secho(printable(line), fg=colour)
