"""What the wildcards of a LiteLLM configuration stand for: asked of the servers that they name, and of a price map."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import typer

from model_registry.cli.output import printable
from model_registry.errors import SourceUnreadable
from model_registry.gateways.litellm.config import Entry, as_table, variable_of
from model_registry.gateways.litellm.importing.names import STAR, model_name
from model_registry.gateways.litellm.reading.parse import parse_config
from model_registry.imports.sources.fetch import fetch_json, price_map_of_wheel, read_json


def wildcard_names(files: Mapping[str, str], configuration: str | None) -> dict[str, list[str]]:
    """Return model_name of each wildcard -> what may stand in place of its `*`.

    A wildcard with an `api_base` is asked of that server (`GET /models`, once); one of a vendor is looked up in the
    price map of the installed litellm. Those that neither knows are named on standard error.

    Raises:
        SourceUnreadable: a server or the price map cannot be read.
    """
    path = price_map_of_wheel()
    known = as_table(read_json(path)) if path else {}
    names: dict[str, list[str]] = {}
    for entry in parse_config(files, configuration).entries:
        if STAR not in entry.model_name or STAR not in entry.model:
            continue
        found = sorted(set(_listed(entry) if entry.params.get("api_base") else _mapped(entry, known)))
        if found:
            names[entry.model_name] = found
        else:
            why = "neither a server at its api_base nor the price map of an installed litellm says what it stands for"
            typer.secho(f"{printable(entry.model_name)} stays alone: {why}", err=True, fg="yellow")
    return names


def _mapped(entry: Entry, known: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the models of a vendor have in place of the star."""
    provider = model_name(entry).provider
    for key, facts in known.items():
        if isinstance(facts, dict) and facts.get("litellm_provider") == provider:
            whole = key if key.startswith(f"{provider}/") else f"{provider}/{key}"
            yield from _in_place(entry.model, whole)


def _listed(entry: Entry) -> Iterator[str]:
    """Yield what the models of a server have in place of the star."""
    base, key = (_resolved(entry.params.get(name)) for name in ("api_base", "api_key"))
    if not base:
        return
    answer = as_table(fetch_json(f"{base.rstrip('/')}/models", headers={"Authorization": f"Bearer {key or 'none'}"}))
    listed = answer.get("data")
    if not isinstance(listed, list):
        raise SourceUnreadable(f"{base} does not list its models: its answer has no data")
    for item in listed:
        yield from _in_place(model_name(entry).model_id, str(as_table(item).get("id", "")))


def _in_place(pattern: str, name: str) -> Iterator[str]:
    start, _, end = pattern.partition(STAR)
    if name.startswith(start) and name.endswith(end) and len(name) > len(start) + len(end):
        yield name[len(start) : len(name) - len(end)]


def _resolved(value: object) -> str | None:
    variable = variable_of(value)
    if variable is not None:
        return os.environ.get(variable)
    return value if isinstance(value, str) else None
