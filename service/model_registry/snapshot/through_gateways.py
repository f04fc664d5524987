"""Providers that are reached through a gateway of the kind smg: which one that is, and what others see instead. Pure.

Other gateways see a provider at that gateway's address. So what they have stays the same while nodes come and go.
"""

from __future__ import annotations

from collections.abc import Iterator

from model_registry.entities.gateway import Gateway
from model_registry.entities.provider import THROUGH, Provider
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.entities.server_address import server_address
from model_registry.errors import Reason
from model_registry.snapshot.snapshot import Snapshot

KIND = "smg"
"""The kind of the gateways that others can reach providers through."""


def is_through(provider: Provider | None) -> bool:
    """Whether a provider is reached through a gateway."""
    return provider is not None and (provider.route_by or "").startswith(THROUGH)


def any_through(snapshot: Snapshot) -> bool:
    """Whether any provider is reached through a gateway."""
    return any(str(key).startswith(THROUGH) for key in snapshot.providers.keys("route_by"))


def reached(snapshot: Snapshot, provider: Provider) -> Provider:
    """Return a provider as its callers see it: at the address of the gateway that it is reached through.

    It stays as it is where that gateway, or its address, is missing (`through_faults`).
    """
    gateway = gateway_of(snapshot, provider)
    address = gateway.settings.get("address") if gateway else None
    if not address or (gateway and gateway.kind != KIND):
        return provider
    base_key = PROVIDER_TYPES[provider.type].base_key
    extras = {key: value for key, value in provider.tensorzero.items() if key != base_key}
    # SMG has OpenAI's protocol alone, and gateways that know Ollama's own would use that.
    kind = "openai_compatible" if provider.type == "ollama" else provider.type
    return provider.model_copy(update={"type": kind, "api_base": address, "route_by": None, "tensorzero": extras})


def gateway_of(snapshot: Snapshot, provider: Provider) -> Gateway | None:
    """Return the gateway that a provider is reached through, if it exists."""
    if not is_through(provider):
        return None
    return next(iter(snapshot.gateways.where("name", _named(provider))), None)


def through_faults(snapshot: Snapshot) -> Iterator[Reason]:
    """Yield what keeps providers from being reached through a gateway, and what sends requests round in a circle."""
    addresses: dict[str, str] = {}
    for gateway in snapshot.gateways:
        address = server_address(gateway.settings.get("address")) if gateway.kind == KIND else None
        if address is None:
            continue
        where = f"gateways.{gateway.name}.settings.address"
        if not gateway.settings["address"].rstrip("/").endswith("/v1"):
            yield Reason(where, "must end in /v1, below which SMG has OpenAI's protocol")
        if address in addresses:
            yield Reason(where, f"is that of the gateway {addresses[address]} too: give each its own")
        addresses.setdefault(address, gateway.name)
    for key in sorted(map(str, snapshot.providers.keys("route_by"))):
        for provider in snapshot.providers.where("route_by", key) if key.startswith(THROUGH) else ():
            if fault := _fault(snapshot, provider, addresses):
                yield Reason(f"model_providers.{provider.name}.route_by", fault)


def _named(provider: Provider) -> str:
    return (provider.route_by or "").removeprefix(THROUGH)


def _fault(snapshot: Snapshot, provider: Provider, addresses: dict[str, str]) -> str | None:
    name, gateway = _named(provider), gateway_of(snapshot, provider)
    if gateway is None or gateway.kind != KIND:
        there = "there is no gateway {0!r}" if gateway is None else "{0} is a gateway of the kind " + gateway.kind
        known = ", ".join(sorted(row.name for row in snapshot.gateways if row.kind == KIND))
        others = f"name one of {known}" if known else f"add one first: POST /api/gateways with the kind {KIND}"
        return f"{there.format(name)}, and not of the kind {KIND}: {others}"
    if not gateway.settings.get("address"):
        return f"nobody knows where the gateway {name} is: set its settings.address, such as http://smg:30000/v1"
    if gateway.providers is not None and provider.name not in gateway.providers:
        return f"the gateway {name} does not carry this provider: add {provider.name} to its providers"
    other = addresses.get(server_address(provider.api_base) or "")
    if other is not None and other != name:
        return (
            f"a circle: its api_base is the gateway {other}, and it is to be reached through {name}; choose one of them"
        )
    return None
