"""A GPU node: a machine that runs models, known from its reports."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from model_registry.entities.base import Draft, JsonObject, Row, Text

NodeStatus = Literal["ready", "lost"]

NODE_STATUSES: tuple[NodeStatus, ...] = ("ready", "lost")


class Node(Row):
    """A node as stored. Fields that change with every heartbeat are as of the row's last change."""

    node_id: str
    status: str = "ready"
    cordoned: bool = False
    labels: dict[str, Any] = {}
    endpoint: str | None = None
    announced_endpoint: str | None = None
    vram_total_mb: int | None = None
    vram_used_mb: int | None = None
    vram_free_mb: int | None = None
    last_seen_at: str | None = None
    status_at: str | None = None
    lost_at: str | None = None
    metadata: dict[str, Any] = {}


def _labels(value: dict[str, Any]) -> dict[str, Any]:
    bad = next((key for key, text in value.items() if not isinstance(text, str) or len(text) > _LABEL_LENGTH), None)
    if bad is not None:
        message = f"the label {bad!r} must be text of at most {_LABEL_LENGTH} characters"
        raise ValueError(message)
    return value


_LABEL_LENGTH = 200


class NodeDraft(Draft):
    """Fields of a node that administrators set; the node reports the rest."""

    endpoint: Annotated[Text, StringConstraints(min_length=1, max_length=2000)] | None = Field(
        None,
        description="URL of the node's models, overriding the announced one; null: use the announced one.",
        examples=["http://gpu-node-1:11434/v1"],
    )
    labels: Annotated[JsonObject, AfterValidator(_labels)] = Field({}, examples=[{"zone": "cellar"}])
    cordoned: bool = Field(default=False, description="Whether the node is excluded from routing.")
