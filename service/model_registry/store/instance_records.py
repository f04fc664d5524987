"""Instances of model services in the database: renewed, or gone (a part of `Registry`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from model_registry.entities.model_service import ServiceInstance
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.json_bytes import Argument

SILENCE = "silence"
"""The author of what happens because somebody was silent."""


class InstanceRecords(ABC):
    """The writes of which instances are the authors."""

    origin: str

    @property
    @abstractmethod
    def snapshot(self) -> Snapshot:
        """The newest state this service knows."""

    @abstractmethod
    async def _send(self, function: str, known: Snapshot | None, actor: str, **arguments: Argument) -> dict[str, Any]:
        """Call a function that writes, and take in what it answers."""

    async def renew_instances(
        self, service_ids: Iterable[str], *, gap_seconds: float | None, retired_seconds: float
    ) -> list[ServiceInstance]:
        """Renew these instances, and delete those that were not renewed in time; answers the latter.

        Silence counts while this is called at least every `gap_seconds` by some replica; None only renews. What is
        retired goes `retired_seconds` after it was last renewed. Errors: those of `Database.call`.
        """
        before = self.snapshot
        answer = await self._send(
            "registry_renew_instances",
            before,
            SILENCE,
            renewed=list(service_ids),
            gap_seconds=gap_seconds,
            retired_seconds=retired_seconds,
        )
        gone = (
            before.instances.get(change["row_id"])
            for change in answer["changes"]
            if change["table"] == "service_instances"
            and (change["operation"], change["actor"], change["origin"]) == ("delete", SILENCE, self.origin)
        )
        return [instance for instance in gone if instance is not None]
