"""Renders a snapshot as SMG's list of workers. The same rows give the same bytes.

Which deployments these are is in `workers.py`; here is the file, and what of it a change affects: a node that comes or
goes costs its own deployments, and joining the lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from model_registry.entities.base import Row
from model_registry.entities.deployment import Deployment
from model_registry.entities.gateway import Gateway
from model_registry.entities.model import Model
from model_registry.entities.node import Node
from model_registry.entities.provider import Provider
from model_registry.entities.server_address import server_address
from model_registry.gateways.kind import Rendered
from model_registry.gateways.omission import Omission
from model_registry.gateways.smg.left_out import OtherContent
from model_registry.gateways.smg.workers import Found, Offer, found, omitted, workers_at
from model_registry.snapshot.snapshot import Snapshot

MAIN_FILE = "workers.json"
VERSION = 1
"""Of the file's format."""
TABLES = frozenset({"model_providers", "models", "model_deployments", "gpu_nodes"})
"""The tables that a list is made of, besides the addresses of gateways."""


@dataclass(slots=True)
class SmgRenderer:
    """Renders the lists of one gateway, one after the other. For one caller at a time."""

    _snapshot: Snapshot = field(default_factory=Snapshot.empty)
    _gateways: frozenset[str] = frozenset()
    _found: dict[str, Found] = field(default_factory=dict)
    """By the deployment's id; without those that come to nothing."""
    _at: dict[str, set[str]] = field(default_factory=dict)
    """Server -> ids of its deployments; one that has no server stands alone, under its id."""
    _lines: dict[str, tuple[str, tuple[Omission, ...]]] = field(default_factory=dict)
    """Server -> the lines of its workers, and what is left out beside them."""
    _others: OtherContent = field(default_factory=OtherContent)
    _listed: tuple[Omission, ...] = ()
    """What of `_others` is in the last rendering."""
    _rendered: Rendered | None = None

    def render(self, snapshot: Snapshot, gateway: Gateway) -> Rendered:  # noqa: ARG002 (of the protocol)
        """Render a snapshot of what the gateway carries."""
        gateways = smg_addresses(snapshot)
        if gateways != self._gateways:
            self._snapshot, self._gateways, self._rendered = Snapshot.empty(), gateways, None
            self._found, self._at, self._lines = {}, {}, {}
        affected = set(_affected(self._snapshot, snapshot))
        self._snapshot = snapshot
        servers = {server for row_id in affected for server in self._move(snapshot, row_id)}
        for server in servers:
            self._write(snapshot, server)
        others = self._others.omissions(snapshot)
        if self._rendered is None or servers or others is not self._listed:
            self._rendered, self._listed = self._assembled(others), others
        return self._rendered

    def _move(self, snapshot: Snapshot, row_id: str) -> Iterator[str]:
        """Look at a deployment again; yield the servers whose lines this concerns."""
        if before := self._found.pop(row_id, None):
            place = before.server or row_id
            self._at[place].discard(row_id)
            yield place
        row = snapshot.deployments.get(row_id)
        now = found(snapshot, row, self._gateways) if row else Found()
        if now != Found():
            self._found[row_id] = now
            place = now.server or row_id
            self._at.setdefault(place, set()).add(row_id)
            yield place

    def _write(self, snapshot: Snapshot, server: str) -> None:
        ids = self._at.get(server)
        if not ids:
            self._at.pop(server, None)
            self._lines.pop(server, None)
            return
        owners: dict[Offer, str] = {offer: row_id for row_id in ids for offer in self._found[row_id].offers}
        workers, twice = workers_at(owners)
        left_out = [omission for row_id in ids for omission in self._found[row_id].omissions]
        for offer, known in twice:
            reason = f"its server is there as {known.model_id} already: {known.worker_id}"
            left_out.append(omitted(snapshot.deployments[owners[offer]], reason))
        text = ",\n".join(json.dumps(worker, ensure_ascii=False) for worker in workers)
        self._lines[server] = text, tuple(sorted(left_out))

    def _assembled(self, others: tuple[Omission, ...]) -> Rendered:
        servers = sorted(self._lines)
        texts = [text for server in servers if (text := self._lines[server][0])]
        omissions = sorted(omission for server in servers for omission in self._lines[server][1])
        lines = "\n" + ",\n".join(texts) + "\n" if texts else ""
        text = f'{{"version": {VERSION}, "workers": [{lines}]}}\n'
        return Rendered({MAIN_FILE: text.encode()}, (*omissions, *others))


def smg_addresses(snapshot: Snapshot) -> frozenset[str]:
    """Return the addresses of all gateways of this kind, in one spelling."""
    addresses = (server_address(row.settings.get("address")) for row in snapshot.gateways if row.kind == "smg")
    return frozenset(address for address in addresses if address)


def _affected(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """Yield the ids of the deployments that a difference concerns."""
    for name in TABLES:
        old, new = before.tables[name], after.tables[name]
        if old is new:
            continue
        for row_id in new.may_differ(old):
            was, now = old.get(row_id), new.get(row_id)
            if was is not now:
                for snapshot, row in ((before, was), (after, now)):
                    yield from _deployments_of(snapshot, row) if row else ()


def _deployments_of(snapshot: Snapshot, row: Row) -> Iterator[str]:
    match row:
        case Deployment():
            yield row.id
        case Node():
            yield from (deployment.id for deployment in snapshot.deployments.where("node", row.node_id))
        case Model():
            yield from (deployment.id for deployment in snapshot.deployments.where("model", row.id))
        case Provider():
            for model in snapshot.models.where("provider", row.id):
                yield from (deployment.id for deployment in snapshot.deployments.where("model", model.id))
