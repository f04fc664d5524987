"""Messages of nodes that were rejected: the newest 1,000, wherever they were heard."""

from __future__ import annotations

from typing import Any

from model_registry.store.client import Database


class RejectedEvents:
    """Asks the database. Errors: those of `Database.call`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, *, limit: int, offset: int) -> dict[str, Any]:
        """A page, newest first, with the number of all."""
        page: dict[str, Any] = await self._database.call(
            "registry_rejected_events", page_size=limit, page_offset=offset
        )
        return page
