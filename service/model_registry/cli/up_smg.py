"""SMG in the stack of `model-registry up`: its gateway's row, and its list of workers, kept up to date by the agent."""

from __future__ import annotations

import logging
import time
from threading import Thread
from typing import TYPE_CHECKING

from model_registry.client.blocking import Client
from model_registry.client.requests import Call, json_object
from model_registry.errors import NotFound, RegistryError
from model_registry.gateway_agent.agent import Agent
from model_registry.gateway_agent.bundle_directory import BundleDirectory
from model_registry.gateway_agent.bundle_source import BundleSource
from model_registry.gateway_agent.gateway_process import LocalGateway

if TYPE_CHECKING:
    from model_registry.devstack.smg import Smg

NAME = "smg"
"""Of the gateway's row."""
_AGAIN_SECONDS = 0.5


def keep_workers(smg: Smg, url: str, api_key: str) -> None:
    """Start a thread that keeps SMG's workers those of the registry; it ends with this process.

    The row is made at the first start. Its address is that of this run; all else in it stays what people made of it.
    """
    # The registry is in this process: what keeps the agent from it is in its log, or is the end of both.
    logging.getLogger("model_registry.gateway_agent").setLevel(logging.ERROR)
    Thread(target=_run, args=(smg, url, api_key), name="smg-workers", daemon=True).start()


def _run(smg: Smg, url: str, api_key: str) -> None:
    while True:
        try:
            with Client(url, api_key) as client:
                _write_row(client, smg.url)
            break
        except RegistryError:  # the database is restarting
            time.sleep(_AGAIN_SECONDS)
    Agent(BundleSource(url, api_key, gateway=NAME), BundleDirectory(smg.home), LocalGateway()).run()


def _write_row(client: Client, address: str) -> None:
    try:
        row = client.ask(Call("GET", f"/api/gateways/{NAME}", json_object))
    except NotFound:
        fields = {"name": NAME, "kind": "smg", "settings": {"address": address}}
        client.ask(Call("POST", "/api/gateways", json_object, body=fields))
        return
    if row["settings"].get("address") != address:
        settings = {**row["settings"], "address": address}
        client.ask(Call("PATCH", f"/api/gateways/{NAME}", json_object, body={"settings": settings}))
