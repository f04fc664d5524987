"""The catalogue of a pinned gateway: people's rows as they were at a revision, with the nodes and deployments of now.

What runs where is true for a pinned gateway too: a route to a node that is gone would only fail.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from model_registry.entities.gateway import Gateway
from model_registry.snapshot.difference import TABLES
from model_registry.snapshot.snapshot import Snapshot


class Earlier(Protocol):
    """Where earlier revisions come from."""

    async def at(self, revision: int) -> Snapshot:
        """The configuration at a revision. Errors: RevisionNotFound, RevisionGone; those of the database."""


class Pins:
    """The pinned catalogue of one gateway: asked for once, and kept."""

    def __init__(self, history: Earlier) -> None:
        self._history = history
        self._kept: tuple[str, int, Snapshot] | None = None
        self._last: tuple[Snapshot, Snapshot, Snapshot] | None = None

    async def catalogue(self, snapshot: Snapshot, gateway: Gateway) -> Snapshot:
        """Return what the gateway follows: the snapshot itself, or the pinned revision's.

        Errors: RevisionNotFound, RevisionGone; StorageUnavailable, if it was never read here.
        """
        revision = gateway.pinned_revision
        if revision is None:
            self._kept = self._last = None
            return snapshot
        if self._kept is None or self._kept[:2] != (snapshot.registry_id, revision):
            self._kept = snapshot.registry_id, revision, await self._history.at(revision)
        pinned = self._kept[2]
        if self._last is not None and self._last[1] is pinned and _same_fleet(self._last[0], snapshot):
            return self._last[2]
        catalogue = with_fleet_of(snapshot, pinned)
        self._last = snapshot, pinned, catalogue
        return catalogue


def with_fleet_of(now: Snapshot, pinned: Snapshot) -> Snapshot:
    """Return the catalogue of an earlier revision with the nodes, the deployments and the gateways of now."""
    tables = {name: table for name, table in pinned.tables.items() if name in TABLES and name != "gateways"}
    return replace(pinned, tables=now.tables.update(tables))


def _same_fleet(one: Snapshot, other: Snapshot) -> bool:
    return all(
        one.tables[name] is other.tables[name] for name in one.tables if name not in TABLES or name == "gateways"
    )
