"""Makes the model group of one name: a deployment for each row with the name and each live node, or why there is none.

LiteLLM asks the deployments with the lowest `order` that are well, and shares requests among them by `weight`; those
that it is given neither are alike. So rows of one priority share, which TensorZero asks one after the other. Of a
provider routed by deployments the nodes share, and its own address has weight 0: LiteLLM asks it when no node is left.

LiteLLM takes the lowest `order` *given*, and 0 for a `weight` or `rpm` not given: so all of a group have one, or none.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from model_registry.entities.model import Model
from model_registry.entities.provider import Provider
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.gateways.litellm.config import Table, as_table
from model_registry.gateways.litellm.deployment import (
    INFO,
    PARAMS,
    Place,
    connection,
    deployment,
    is_named,
    variables_of,
)
from model_registry.gateways.litellm.model_info import MODES, model_info
from model_registry.gateways.litellm.rendering.left_out import setting
from model_registry.gateways.litellm.tensorzero_keys import parameters_of, without_counterpart
from model_registry.gateways.omission import Omission
from model_registry.gateways.tensorzero.rendering.provider_tables import ProviderTable
from model_registry.gateways.tensorzero.rendering.routes import routes_of
from model_registry.snapshot.snapshot import Snapshot

_PER_MINUTE = {"rpm": "rate_limit_rpm", "tpm": "rate_limit_tpm"}
ORDER, WEIGHT = "order", "weight"


@dataclass(frozen=True, slots=True)
class Member:
    """A deployment of a group."""

    key: str
    """Stable while others come and go."""
    entry: Table
    """Its entry of `model_list`, before it is one of a group."""
    model: Model
    provider: Provider
    level: int
    """Lower ones are asked first."""
    weight: float | None = None
    """Its share among those of its level; None: all are alike."""


@dataclass(frozen=True, slots=True)
class Group:
    """What LiteLLM knows under one name."""

    name: str
    members: tuple[Member, ...] = ()
    omissions: tuple[Omission, ...] = ()
    shared: bool = False
    """Whether requests are shared where TensorZero has an order: then a failure must lead to another member."""

    def entries(self) -> list[Table]:
        """Return the entries of `model_list`."""
        levels = sorted({member.level for member in self.members})
        ranks = {level: rank for rank, level in enumerate(levels, 1)} if len(levels) > 1 else {}
        weighted = {member.level for member in self.members if member.weight is not None}
        limits = [key for key in _PER_MINUTE if all(_limit(member, key) for member in self.members)]
        return [
            self._entry(member, ranks.get(member.level), limits, member.level in weighted) for member in self.members
        ]

    def _entry(self, member: Member, rank: int | None, limits: list[str], is_weighted: bool) -> Table:  # noqa: FBT001 (private)
        of_group: Table = {key: _limit(member, key) for key in limits}
        if rank is not None:
            of_group[ORDER] = rank
        if is_weighted:
            of_group[WEIGHT] = _number(1.0 if member.weight is None else member.weight)
        params = member.entry[PARAMS]
        return {
            **member.entry,
            "model_name": self.name,
            PARAMS: params | {key: value for key, value in of_group.items() if key not in params},
        }

    def variables(self) -> Iterator[tuple[str, str]]:
        """Yield the environment variables that the entries name, each with what names it."""
        for member in self.members:
            for name in variables_of(member.entry[PARAMS], member.provider):
                yield name, f"provider {member.provider.name}"


def model_group(snapshot: Snapshot, name: str) -> Group:
    """Make the group of the rows with a name."""
    members: list[Member] = []
    omissions: list[Omission] = []
    shared = False
    rows = [(model, snapshot.providers.get(model.provider_id)) for model in snapshot.models.where("name", name)]
    rows.sort(key=lambda pair: (pair[0].routing_priority, pair[1].name if pair[1] else ""))
    of_all = _of_all_rows([model for model, _ in rows])
    for model, provider in rows:
        reason = why_unasked(model, provider)
        if provider is None or reason is not None:
            omissions.append(_omission(model, provider, reason or ""))
            continue
        _, prices = model_info(model, provider.type)
        if prices:
            why = f"LiteLLM has no place for the prices of {'; '.join(prices)}"
            omissions.append(Omission("price", name, why))
        omissions += _not_carried(model, provider)
        routes = routes_of(snapshot, ProviderTable(model, provider))
        omissions += routes.omissions
        # By name, and not by free memory as there: that moves all the time, and LiteLLM would restart for it.
        for route in sorted(routes.routes, key=lambda route: route.key):
            place = Place(route.deployment, route.base)
            members.append(_at_node(model, provider, route.key.partition("@")[2], place, of_all))
        weight = 0.0 if routes.routes else None
        entry = _completed(deployment(model, provider), of_all)
        members.append(Member(model.id, entry, model, provider, model.routing_priority, weight))
        shared = shared or bool(routes.routes)
    return Group(name, tuple(members), tuple(omissions), shared)


def _of_all_rows(models: list[Model]) -> Table:
    """Return the parameters that TensorZero has at the model: a row before says it for those behind."""
    extras: Table = {}
    for model in models:
        extras = {**as_table(model.tensorzero.get("model")), **extras}
    return parameters_of(extras)


def _completed(entry: Table, params: Table) -> Table:
    """Return an entry with parameters that it has not itself."""
    return entry | {PARAMS: params | entry[PARAMS]} if params else entry


def _at_node(model: Model, provider: Provider, node: str, place: Place, of_all: Table) -> Member:
    entry = _completed(deployment(model, provider, place=place), of_all)
    key = f"{model.id}@{ascii_key(node)}"
    return Member(key, entry | {INFO: entry[INFO] | {"id": key}}, model, provider, model.routing_priority, 1.0)


def ascii_key(text: str) -> str:
    """Write a name for an id, with which LiteLLM answers in a header."""
    return quote(text, safe="@/:._-")


def why_unasked(model: Model, provider: Provider | None) -> str | None:
    """Return why LiteLLM gets no entry of this row, or None."""
    if provider is None:  # foreign keys allow no other reason
        return "its provider is left out, because validation refuses it"
    if not model.active or not provider.active:
        return "it is not active" if not model.active else f"its provider {provider.name} is not active"
    return why_no_address(provider) or _why_unnamed(model, provider)


def _why_unnamed(model: Model, provider: Provider) -> str | None:
    if model.model_type not in MODES:
        return f"LiteLLM has no models of type {model.model_type}"
    if is_named(model, provider):
        return None
    names = PROVIDER_TYPES[provider.type].litellm
    if names is None:
        return f"LiteLLM has no name for providers of type {provider.type}"
    if model.model_type == "reranker" and not names.reranker:
        return f"LiteLLM asks no provider of type {provider.type} to rerank"
    return None


def why_no_address(provider: Provider) -> str | None:
    """Return why LiteLLM would not know where to ask, or None."""
    kind = PROVIDER_TYPES.get(provider.type)
    if kind is None or not kind.base_required or not kind.litellm or kind.litellm.base_key in connection(provider):
        return None
    return f"provider {provider.name} has no api_base, and LiteLLM needs one for type {kind.name}"


def _omission(model: Model, provider: Provider | None, reason: str) -> Omission:
    at = f"at provider {provider.name}: " if provider else ""
    switched_off = not model.active or provider is None or not provider.active
    return Omission("model", model.name, f"{at}{reason}", switched_off)


def _not_carried(model: Model, provider: Provider) -> Iterator[Omission]:
    table = {**provider.tensorzero, **as_table(model.tensorzero.get("provider"))}
    for key in without_counterpart(table):
        reason = f"at provider {provider.name}: TensorZero's key {key} has no counterpart in LiteLLM"
        yield setting(model.name, key, reason)
    for key in without_counterpart(as_table(model.tensorzero.get("model"))):
        yield setting(model.name, key)


def provider_omission(provider: Provider) -> Omission | None:
    """Return the omission of a provider, if none of its models is in the configuration."""
    reason = "it is not active" if not provider.active else why_no_address(provider)
    return Omission("provider", provider.name, reason, switched_off=not provider.active) if reason else None


def _limit(member: Member, key: str) -> Any:  # noqa: ANN401 (any value of a column)
    return member.entry[PARAMS].get(key, member.model.card.get(_PER_MINUTE[key]))


def _number(value: float) -> float:
    """Write whole numbers as such."""
    return int(value) if value == int(value) else value
