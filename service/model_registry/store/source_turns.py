"""Whose turn it is to be asked: claims of sources in the database, so that one replica of several asks each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from model_registry.entities.json_types import JsonObject
from model_registry.store.client import Database

_MARGIN_SECONDS = 120.0
"""By which a claim outlasts the time that its source has: for what is read to be written."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A source that this replica asks now, and nobody else."""

    source_id: str
    good_at: str | None
    """When it last answered; None: it never did."""


class SourceTurns:
    """The turns of all sources. Errors of every method: those of `Database.call`."""

    def __init__(self, database: Database, claimer: str) -> None:
        """`claimer` tells this process apart from every other replica."""
        self._database = database
        self._claimer = claimer

    async def claim(self, most: int, kinds: JsonObject, only: str | None = None) -> list[Claim]:
        """Claim sources that are due, or one of them whether due or not.

        `kinds`: kind -> {"interval", "timeout"}, seconds of sources that set none.
        """
        answer = await self._database.call(
            "registry_claim_sources",
            claimer=self._claimer,
            most=most,
            margin_seconds=_MARGIN_SECONDS,
            kinds=kinds,
            only_source=only,
        )
        return [Claim(claim["id"], claim["good_at"]) for claim in answer]

    async def end(self, asked: Collection[str], good: Collection[str]) -> None:
        """Give claimed sources back; `good` are those that answered."""
        await self._database.call("registry_end_turns", claimer=self._claimer, asked=list(asked), good=list(good))
