"""Where requests for a name go: the live deployments and providers of the rows that it means, as targets. Pure.

What a name means is in `language_names.py`. What cannot be asked is left out with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import inf

from model_registry.entities.model import Model
from model_registry.entities.model_service import Strategy
from model_registry.entities.openai_address import deployment_address, provider_address
from model_registry.entities.openai_paths import LANGUAGE_CAPABILITIES
from model_registry.entities.provider import Provider, is_at_vendor
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.entities.server_address import spelled_url
from model_registry.errors import NoInstance, ProtocolUnsupported, Reason, RegistryError
from model_registry.fleet.flap_damping import held_until
from model_registry.services.dispatch.language_names import Share, meaning_of
from model_registry.services.dispatch.provider_keys import ProviderKeys
from model_registry.services.dispatch.targets import Target
from model_registry.snapshot.live_deployments import is_routed, live_deployments
from model_registry.snapshot.snapshot import Snapshot
from model_registry.snapshot.through_gateways import reached

MOST_DEPLOYMENTS = 100
"""Of one row, those that come first: choosing looks at each at every request. Gateways are given as many."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """A row or a deployment that cannot be asked, and why."""

    who: str
    reason: str
    other_protocol: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """Where requests for a name go."""

    asked: str
    names: tuple[str, ...]
    """A key that is limited to services may ask when it is limited to one of these."""
    targets: tuple[Target, ...]
    strategy: Strategy
    unusable: tuple[Unusable, ...]
    until: float = inf
    """Epoch seconds until which this holds, if no row changes: a deployment that was held comes back."""

    def refusal(self) -> RegistryError:
        """Why nothing can be asked, when there is no target: ProtocolUnsupported or NoInstance."""
        reasons = [Reason(one.who, one.reason) for one in self.unusable]
        if reasons and all(one.other_protocol for one in self.unusable):
            return ProtocolUnsupported(f"{self.asked!r} cannot be asked by OpenAI's protocol.", reasons=reasons)
        return NoInstance(f"Nothing that serves {self.asked!r} can be asked.", reasons=reasons)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a route depends on besides the registry's rows."""

    keys: ProviderKeys
    now: float
    """Epoch seconds."""
    hold_seconds: float = 0.0
    """A deployment that went away twice within this time is asked last; see `fleet/flap_damping.py`."""


def route_of(snapshot: Snapshot, asked: str, model_types: frozenset[str], conditions: Conditions) -> Route:
    """Find where requests for a name go. Errors: ModelNotFound."""
    meaning = meaning_of(snapshot, asked, model_types)
    tiers = _Tiers()
    unusable: dict[Unusable, None] = {}
    until = inf
    for share in meaning.shares:
        found = _Addresses(snapshot, conditions)
        for row in share.rows:
            found.add(row)
        tiers.add(share, found.groups())
        unusable |= dict.fromkeys(found.unusable)
        until = min(until, found.until)
    targets = tiers.targets()
    strategy: Strategy = "weighted" if tiers.shared else "least_loaded"
    return Route(asked, meaning.names, targets, strategy, tuple(unusable), until)


class _Addresses:
    """Collects the targets of one model's rows: for each row its nodes, then its provider; nodes that flap last."""

    def __init__(self, snapshot: Snapshot, conditions: Conditions) -> None:
        self._snapshot = snapshot
        self._conditions = conditions
        self._groups: list[list[Target]] = []
        self._held: list[Target] = []
        self.unusable: list[Unusable] = []
        self.until = inf

    def groups(self) -> Iterator[list[Target]]:
        """The targets that are asked side by side, those of the first group first."""
        return (group for group in (*self._groups, self._held) if group)

    def add(self, row: Model) -> None:
        """Add what a row has."""
        provider = reached(self._snapshot, self._snapshot.providers[row.provider_id])
        kind = PROVIDER_TYPES[provider.type]
        who = f"{row.name} at {provider.name}"
        if not kind.speaks_openai:
            self.unusable.append(Unusable(who, _other_protocol(row, provider), other_protocol=True))
            return
        if fault := self._key_fault(provider):
            self.unusable.append(Unusable(who, fault))
            return
        if is_routed(provider):
            self._groups.append(list(self._deployments(row, provider)))
        address = provider_address(provider)
        if address.base:
            key = f"provider:{provider.name}/{row.model_id}"
            self._groups.append([_target(key, address.base, row.model_id, provider)])
        else:
            loaded = "it is asked only at nodes that have it loaded, and " if is_routed(provider) else ""
            self.unusable.append(Unusable(who, f"{loaded}{address.fault}"))

    def _key_fault(self, provider: Provider) -> str | None:
        variable = provider.api_key_env_var
        if variable:
            return self._conditions.keys.fault(variable)
        kind = PROVIDER_TYPES[provider.type]
        if is_routed(provider) or not kind.home or not is_at_vendor(provider.api_base, kind):
            return None
        usual = kind.credential.variable if kind.credential else None
        return f"provider {provider.name} names no variable with its key: set its api_key_env_var to {usual}"

    def _deployments(self, row: Model, provider: Provider) -> Iterator[Target]:
        for live in live_deployments(self._snapshot, row.id)[:MOST_DEPLOYMENTS]:
            deployment = live.deployment
            name = f"{deployment.node_id}/{deployment.provider_type}/{deployment.announced_model}"
            address = deployment_address(deployment, live.node)
            if not address.base or "?" in address.base or "#" in address.base:
                self.unusable.append(Unusable(name, address.fault or "its endpoint has a query"))
                continue
            base = address.base.rstrip("/")
            target = _target(f"deployment:{name}", base, deployment.announced_model, provider)
            until = held_until(deployment, self._conditions.now, self._conditions.hold_seconds)
            if until is None:
                yield target
            else:
                self._held.append(target)
                self.until = min(self.until, until)


def _target(key: str, base: str, model: str, provider: Provider) -> Target:
    return Target(key, base, LANGUAGE_CAPABILITIES, model=model, authorisation_variable=provider.api_key_env_var)


@dataclass(slots=True)
class _Tiers:
    """Puts the groups of all shares into tiers, and each address into the first tier that has it."""

    _places: dict[tuple[int, int], dict[str, Target]] = field(default_factory=dict)
    """Rank and group -> its targets by their keys."""
    shared: bool = False
    """Whether several models share the requests of a tier."""

    def add(self, share: Share, groups: Iterator[list[Target]]) -> None:
        """Add a share. Its weight is that of each group, whatever the number of addresses."""
        for number, group in enumerate(groups):
            place = self._places.setdefault((share.rank, number), {})
            self.shared |= bool(place)
            for target in group:
                weight = share.weight / len(group)
                known = place.get(target.key)
                place[target.key] = replace(target, weight=weight + (known.weight if known else 0.0))

    def targets(self) -> tuple[Target, ...]:
        """All of them, best first."""
        found: dict[tuple[str, str | None, str | None], Target] = {}
        for tier, (_, place) in enumerate(sorted(self._places.items(), key=lambda item: item[0])):
            for target in place.values():
                # A provider's own address may be that of one of its nodes. Two accounts at one address are two.
                same = (spelled_url(target.url), target.model, target.authorisation_variable)
                found.setdefault(same, replace(target, tier=tier))
        return tuple(found.values())


def _other_protocol(row: Model, provider: Provider) -> str:
    """Say which protocol a provider speaks, and which gateway to ask instead, by which name."""
    kind = PROVIDER_TYPES[provider.type]
    if kind.gateway_type is None:
        return (
            f"what its provider's type {kind.name} speaks is not known; if it is OpenAI's protocol, make the type "
            "openai_compatible"
        )
    gateways = [f"TensorZero as tensorzero::model_name::{row.name}"]
    if kind.litellm:
        gateways.append(f"LiteLLM as {kind.litellm.prefix}/{row.model_id}")
    return f"its provider is of type {kind.name}, which has a protocol of its own; ask {' or '.join(gateways)}"
