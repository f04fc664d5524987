"""A deployment: a model loaded on a node, as reported by the node."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, StringConstraints

from model_registry.entities.base import (
    LONG_NAME_LENGTH,
    MAX_INT32,
    NAME_LENGTH,
    Draft,
    LongName,
    Row,
    ShortName,
    Text,
)

DeploymentStatus = Literal["loading", "loaded", "unloaded", "error", "lost"]

DEPLOYMENT_STATUSES: tuple[DeploymentStatus, ...] = get_args(DeploymentStatus)
LIVE_STATUSES = frozenset({"loading", "loaded"})

PROVIDER_TYPE_LENGTH = 64
ENDPOINT_LENGTH = 2000
ERROR_LENGTH = 4000


class Deployment(Row):
    """A deployment as stored."""

    node_id: str
    provider_type: str
    announced_model: str
    model_id: str | None = None
    """The first of `model_ids`."""
    model_ids: list[str] = []
    """Every row of the catalogue that means this model at this server, the best first."""
    status: str = "loaded"
    vram_allocated_mb: int | None = None
    endpoint: str | None = None
    loaded_at: str | None = None
    last_used_at: str | None = None
    event_at: str = ""
    error_message: str | None = None
    metadata: dict[str, Any] = {}
    left_at: str | None = None
    left_before_at: str | None = None

    @property
    def linked(self) -> list[str]:
        """The ids of its models. Rows that an older version saved have only one."""
        return self.model_ids or ([self.model_id] if self.model_id else [])

    @property
    def key(self) -> tuple[str, str, str]:
        """What no other deployment has: node, type of server, name of the model there."""
        return self.node_id, self.provider_type, self.announced_model


class EventDraft(Draft):
    """Reportable fields of a model on a node."""

    node_id: ShortName
    provider_type: Annotated[ShortName, StringConstraints(max_length=PROVIDER_TYPE_LENGTH)]
    announced_model: LongName
    status: DeploymentStatus
    vram_allocated_mb: int | None = Field(None, ge=0, le=MAX_INT32)
    endpoint: Annotated[Text, StringConstraints(max_length=ENDPOINT_LENGTH)] | None = None
    error_message: Annotated[Text, StringConstraints(max_length=ERROR_LENGTH)] | None = None


@dataclass(slots=True)
class DeploymentEvent:
    """One event of one model on one node; NATS messages and HTTP reports are both converted to it.

    The database function `registry_record_events` records these; the newest event of a deployment decides its row.
    A plain class, because thousands are made per second; its values were checked by `EventDraft` or `is_plain`.
    """

    node_id: str
    provider_type: str
    announced_model: str
    status: str
    event_at: datetime
    vram_allocated_mb: int | None = None
    endpoint: str | None = None
    error_message: str | None = None
    loaded_at: datetime | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    model_id: str | None = None
    """The model's row, where the sender knows it."""

    @property
    def key(self) -> tuple[str, str, str]:
        """The deployment's key."""
        return self.node_id, self.provider_type, self.announced_model

    def wire(self) -> dict[str, Any]:
        """Return the JSON for the database function `registry_record_events`, without missing values."""
        columns = ((name, getattr(self, name)) for name in self.__slots__)
        return {name: value for name, value in columns if value is not None and value != {}}

    @property
    def is_plain(self) -> bool:
        """Whether `EventDraft` would certainly accept the event unchanged. It also accepts some that are not plain.

        Nearly all events are plain, and this check takes a tenth of the time.
        """
        return (
            _is_line(self.node_id, NAME_LENGTH)
            and _is_line(self.provider_type, PROVIDER_TYPE_LENGTH)
            and _is_line(self.announced_model, LONG_NAME_LENGTH)
            and type(self.status) is str
            and self.status in _STATUSES
            and (self.vram_allocated_mb is None or _is_amount(self.vram_allocated_mb))
            and (self.endpoint is None or _is_line(self.endpoint, ENDPOINT_LENGTH))
            and (self.error_message is None or _is_line(self.error_message, ERROR_LENGTH))
        )


_STATUSES = frozenset(DEPLOYMENT_STATUSES)


def _is_line(value: object, longest: int) -> bool:
    """Whether a value is non-empty text without control characters."""
    return type(value) is str and value.isprintable() and 0 < len(value) <= longest


def _is_amount(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_INT32
