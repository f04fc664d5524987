"""Sources: what the registry asks again and again for models. Nothing is sent here: each method makes a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from pydantic import Field

from model_registry.client.requests import Call, Json, json_object, operation, quoted
from model_registry.client.row_calls import Rows
from model_registry.entities.source import Source


class CatalogSource(Source):
    """A source with what it answered last."""

    state: str = "never"
    error: str | None = None
    failing_since: str | None = None
    last_good_at: str | None = None
    asked_at: str | None = None
    next_at: str | None = None
    asking: bool = False
    models: int = 0
    counts: dict[str, int] = Field(default_factory=dict)
    skipped: list[dict[str, str]] = Field(default_factory=list)
    skipped_count: int = 0
    passed_over: list[dict[str, str]] = Field(default_factory=list)


class SourceFields(TypedDict, total=False):
    """A source."""

    name: str
    kind: str
    address: str | None
    interval_seconds: float | None
    api_key_env_var: str | None
    provider: str | None
    framework: str | None
    position: int
    active: bool
    options: Mapping[str, str | float | bool | Sequence[str] | None]


_SOURCES = Rows("sources", CatalogSource)


class SourceOperations:
    """List, get, create, replace, change, delete and refresh."""

    @operation
    def list_sources(self, *, limit: int | None = None, offset: int | None = None) -> Call[list[CatalogSource]]:
        """List sources with their last answers. Errors: Invalid, for an unknown value."""
        return _SOURCES.list(limit=limit, offset=offset)

    @operation
    def get_source(self, reference: str) -> Call[CatalogSource]:
        """Get a source by id or name. Errors: NotFound."""
        return _SOURCES.get(reference)

    @operation
    def create_source(
        self, fields: Mapping[str, Any] | None = None, **more: Unpack[SourceFields]
    ) -> Call[CatalogSource]:
        """Add a source, which is asked at once. Errors: Invalid, with every bad field; AlreadyExists."""
        return _SOURCES.create(fields, more)

    @operation
    def replace_source(
        self, reference: str, fields: Mapping[str, Any], *, etag: str | None = None
    ) -> Call[CatalogSource]:
        """Set every field of a source. Errors: as `create_source`; Conflict, PreconditionFailed."""
        return _SOURCES.replace(reference, fields, etag)

    @operation
    def change_source(
        self, reference: str, *, etag: str | None = None, **fields: Unpack[SourceFields]
    ) -> Call[CatalogSource]:
        """Set some fields of a source; its name stays. Errors: as `replace_source`; NotFound."""
        return _SOURCES.change(reference, fields, etag)

    @operation
    def delete_source(self, reference: str, *, etag: str | None = None) -> Call[None]:
        """Delete a source; its models stay. Errors: NotFound, InUse, PreconditionFailed."""
        return _SOURCES.delete(reference, etag)

    @operation
    def refresh_source(self, reference: str, *, dry_run: bool | None = None, wait: float | None = None) -> Call[Json]:
        """Ask a source now; answers the report of the import, or `asking: true` if it takes longer than `wait` seconds.

        Errors: NotFound; SourceUnreadable; TooManyRequests, while it is being asked already.
        """
        return Call(
            "POST", f"/api/sources/{quoted(reference)}/refresh", json_object, {"dry_run": dry_run, "wait": wait}
        )
