"""A deployment: a model loaded on a node, as the node said it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from model_registry.entities.base import MAX_INT32, Draft, JsonObject, LongName, Row, ShortName, Text

DeploymentStatus = Literal["loading", "loaded", "unloaded", "error", "lost"]

DEPLOYMENT_STATUSES: tuple[DeploymentStatus, ...] = ("loading", "loaded", "unloaded", "error", "lost")
LIVE_STATUSES = frozenset({"loading", "loaded"})


class Deployment(Row):
    """A deployment as the database holds it."""

    node_id: str
    provider_type: str
    announced_model: str
    model_id: str | None = None
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


class DeploymentEvent(Draft):
    """One thing a node said about one model: what every door (NATS, HTTP) turns its input into.

    The database function `registry_record_events` takes these, and the newest one of a deployment decides its row.
    """

    node_id: ShortName
    provider_type: Annotated[ShortName, StringConstraints(max_length=64)]
    announced_model: LongName
    model_id: str | None = Field(None, description="The catalogue's row, where the sender knows it.")
    status: DeploymentStatus
    vram_allocated_mb: int | None = Field(None, ge=0, le=MAX_INT32)
    endpoint: Annotated[Text, StringConstraints(max_length=2000)] | None = None
    error_message: Annotated[Text, StringConstraints(max_length=4000)] | None = None
    loaded_at: datetime | None = None
    event_at: datetime
    metadata: JsonObject = {}
