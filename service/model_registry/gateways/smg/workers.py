"""Which live deployments SMG gets as workers, under which address and which name, and why the others are left out.

Pure. The file is written in `render.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from model_registry.entities.deployment import Deployment
from model_registry.entities.model import Model
from model_registry.entities.openai_address import Address, deployment_address
from model_registry.entities.provider import Provider
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.entities.server_address import server_address
from model_registry.gateways.omission import DEPLOYMENT, Omission
from model_registry.gateways.smg.rules import is_worker_url
from model_registry.snapshot.deployment_links import models_of, why_unlinked
from model_registry.snapshot.live_deployments import is_live, node_of
from model_registry.snapshot.snapshot import Snapshot

_NOT_ASKED = frozenset({"tts", "image"})
"""Types of models for whose requests SMG has no path."""
_V1 = "/v1"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, order=True)
class Offer:
    """A model at a server, under one name that the server knows."""

    model_id: str
    worker_id: str
    base: str
    """What stands before `/v1`; the port is always there, because SMG compares addresses without the scheme."""


@dataclass(frozen=True, slots=True)
class Found:
    """What becomes of one deployment."""

    server: str = ""
    """Its server in one spelling; empty: it has none."""
    offers: tuple[Offer, ...] = ()
    omissions: tuple[Omission, ...] = ()


def found(snapshot: Snapshot, deployment: Deployment, gateways: Collection[str]) -> Found:
    """Return a deployment's offers, or why it has none; neither for one that is not live, or not carried.

    Args:
        snapshot: what the gateway carries.
        deployment: a row of it.
        gateways: addresses of gateways of this kind, in one spelling: no worker of each other.
    """
    node = node_of(snapshot, deployment)
    models = models_of(snapshot, deployment)
    if not is_live(deployment, node) or (deployment.linked and not models):
        return Found()
    faults = {model.id: _fault(model, snapshot.providers.get(model.provider_id)) for model in models}
    served = [model for model in models if faults[model.id] is None]
    if not served:
        reason = next((fault for fault in faults.values() if fault), None) or why_unlinked(snapshot, deployment)
        return Found(omissions=(omitted(deployment, reason or ""),))
    address = worker_address(deployment_address(deployment, node))
    server = server_address(address.base) or ""
    if address.base is None:
        return Found(omissions=(omitted(deployment, address.fault or ""),))
    if server in gateways:
        return Found(omissions=(omitted(deployment, "it is a gateway itself: requests would go round in a circle"),))
    names = list(_names(deployment, served))
    offers = tuple(Offer(name, worker_id(deployment, name), address.base) for name in names)
    return Found(server, offers, tuple(_renamed(deployment, served, names)))


def worker_address(address: Address) -> Address:
    """Return what SMG calls a worker's address: the base URL without its `/v1`, and with its port."""
    if address.base is None:
        return address
    parts = urlsplit(address.base)
    path = parts.path.rstrip("/")
    if parts.query or parts.fragment:
        return Address(fault=f"its endpoint {address.base} has a query, which no path can be added to")
    if not path.endswith(_V1):
        return Address(fault=f"its endpoint {address.base} does not end in {_V1}, which SMG adds itself")
    port = _PORTS[parts.scheme] if parts.port is None else parts.port
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    url = f"{parts.scheme}://{host}:{port}{path.removesuffix(_V1)}"
    if not is_worker_url(url):
        return Address(fault=f"its endpoint {address.base} is none for SMG: a port from 1 on, a plain host, no @")
    return Address(url)


def worker_id(deployment: Deployment, name: str) -> str:
    """Return the id of a worker: the deployment's key, and the name if that is another one. No two are the same."""
    key = deployment.key
    return "/".join(_part(text) for text in (key if name == key[-1] else (*key, name)))


def key_of(worker: str) -> str:
    """Return the part of a worker's id that says which deployment it is of."""
    return "/".join(worker.split("/")[:3])


def workers_at(offers: Iterable[Offer]) -> tuple[list[dict[str, str]], list[tuple[Offer, Offer]]]:
    """Return the workers of one server, and the offers that are there already, each with the one that is."""
    workers: list[dict[str, str]] = []
    known: dict[str, Offer] = {}
    twice = []
    for offer in sorted(offers):
        if offer.model_id in known:
            twice.append((offer, known[offer.model_id]))
            continue
        known[offer.model_id] = offer
        url = f"{offer.base}/as-{quote(offer.model_id, safe='')}/.." if workers else offer.base
        workers.append({"id": offer.worker_id, "url": url, "model_id": offer.model_id})
    return workers, twice


def omitted(deployment: Deployment, reason: str) -> Omission:
    """Make the omission of a deployment, under the name to look it up by."""
    return Omission(DEPLOYMENT, "/".join(deployment.key), reason)


def _part(text: str) -> str:
    return text.replace("%", "%25").replace("/", "%2F")


def _fault(model: Model, provider: Provider | None) -> str | None:
    if provider is None:
        return "its provider is left out, because validation refuses it"
    if not provider.active:
        return f"its provider {provider.name} is not active"
    if not model.active:
        return f"its model {model.name} is not active"
    kind = PROVIDER_TYPES.get(provider.type)
    if kind is None or not kind.routable:
        return f"servers of the type {provider.type} have no base URL for OpenAI's protocol"
    if model.model_type in _NOT_ASKED:
        return f"SMG has no requests for models of type {model.model_type}"
    return None


def _names(deployment: Deployment, models: Sequence[Model]) -> Iterator[str]:
    """Yield the names of a deployment that its server knows.

    A gateway before SMG asks for the catalogue's `model_id`. An Ollama knows it in every spelling; others only what
    they announced.
    """
    if deployment.provider_type.lower() == "ollama":
        yield from sorted({model.model_id for model in models})
    else:
        yield deployment.announced_model


def _renamed(deployment: Deployment, models: Sequence[Model], names: Sequence[str]) -> Iterator[Omission]:
    for name in sorted({model.model_id for model in models}.difference(names)):
        reason = f"it is not there as {name}, which gateways ask for: its server only knows {names[0]}"
        yield omitted(deployment, f"{reason}. Give the model this model_id, or start the server with the other name")
