"""Which API keys there are where `model-registry up` runs: a gateway that is started there has them too. Names only."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from model_registry.client.blocking import Client
from model_registry.client.requests import Call, json_object
from model_registry.errors import RegistryError

_ENVIRONMENT = "/api/gateways/tensorzero/environment"


def report_keys(url: str, key: str, say: Callable[[str], None], variables: Mapping[str, str] = os.environ) -> None:
    """Report to the registry, in the background, which of the variables it asks about are set; `say` says which."""
    threading.Thread(target=_report, args=(url, key, say, variables), name="report-keys", daemon=True).start()


def _report(url: str, key: str, say: Callable[[str], None], variables: Mapping[str, str]) -> None:
    try:
        with Client(url, key) as client:
            names, absent = names_to_report(client.ask(Call("GET", _ENVIRONMENT, json_object)), variables)
            if names and not absent:
                client.ask(Call("POST", _ENVIRONMENT, json_object, body={"names": names}, repeatable=True))
    except RegistryError as error:
        say(f"keys       not reported: {error.message}")
        return
    if names and absent:
        say(f"keys       not reported: not set here: {', '.join(absent)} (model-registry gateways env)")
    elif names:
        say(f"keys       {', '.join(names)}: the gateway has the providers that need them")


def names_to_report(found: Mapping[str, Any], variables: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the names that are news, and those because of which nothing may be reported.

    The first report makes the environment known, and what needs a variable that is not set is left out from then on. So
    there is none where that would take something away that gateways have. Nothing is ever reported as missing.
    """
    named = {row["name"] for row in found["variables"]}
    asked = named | {row["name"] for row in found["missing"]}
    there = {name for name in asked if variables.get(name)}
    absent = named - there if found["environment"] is None else set()
    return sorted(there - set(found["environment"] or ())), sorted(absent)
