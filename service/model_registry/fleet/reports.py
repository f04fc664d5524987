"""Reports of administrators and nodes over HTTP, turned into the same `DeploymentEvent`s as events over NATS."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from model_registry.entities.base import MAX_INT32, Draft, LongName, Metadata, ShortName, Text
from model_registry.entities.deployment import Deployment, DeploymentEvent, DeploymentStatus
from model_registry.errors import Invalid, Reason, UnknownReference
from model_registry.fleet.event_fields import clamp_event_time, read_time
from model_registry.snapshot.lookup import as_uuid
from model_registry.snapshot.snapshot import Snapshot


def _moment(value: object) -> datetime | None:
    return None if value is None else read_time(value)


Moment = Annotated[
    datetime | None,
    BeforeValidator(_moment, json_schema_input_type=datetime | float | None),
    Field(description="Time of the event. Replaced by the current time if omitted or more than a minute ahead."),
]
"""When it happened, by the rules for events: ISO 8601, or seconds since 1970."""
ErrorMessage = Annotated[Text, StringConstraints(max_length=4000)] | None


class DeploymentReport(Draft):
    """A model on a node. Node, provider type and model together identify the deployment."""

    node_id: ShortName = Field(examples=["gpu-node-1"])
    model_id: LongName = Field(
        description="The node's name for the model, or the id of a catalogued model.", examples=["qwen3:8b"]
    )
    provider_type: Annotated[ShortName, StringConstraints(max_length=64)] | None = Field(
        None, description="Optional if model_id is the id of a catalogued model.", examples=["ollama"]
    )
    status: DeploymentStatus = "loaded"
    vram_allocated_mb: int | None = Field(None, ge=0, le=MAX_INT32, description="MiB.", examples=[6144])
    endpoint: Annotated[Text, StringConstraints(max_length=2000)] | None = None
    error_message: ErrorMessage = None
    timestamp: Moment = None
    metadata: Metadata = {}

    def event(self, snapshot: Snapshot, now: datetime) -> DeploymentEvent:
        """Convert to an event. Errors: UnknownReference, Invalid."""
        announced, provider_type, link = self.model_id, self.provider_type, None
        model_id = as_uuid(self.model_id)
        if model_id is not None:
            model = snapshot.models.get(model_id)
            if model is None:
                message = f"There is no model with the id {model_id}."
                raise UnknownReference(message, reasons=[Reason("model_id", message)])
            provider = snapshot.providers.get(model.provider_id)
            announced, link = model.model_id, model.id
            provider_type = provider_type or (provider.type if provider else None)
        if provider_type is None:
            message = "provider_type is required, such as ollama or vllm."
            raise Invalid(message, reasons=[Reason("provider_type", message)])
        fields: dict[str, Any] = self.model_dump(
            include={"node_id", "status", "vram_allocated_mb", "endpoint", "error_message", "metadata"}
        )
        return DeploymentEvent(
            **fields,
            provider_type=provider_type,
            announced_model=announced,
            model_id=link,
            event_at=clamp_event_time(self.timestamp, now),
        )


class StatusReport(Draft):
    """A deployment's new status."""

    status: DeploymentStatus = Field(examples=["unloaded"])
    error_message: ErrorMessage = None
    vram_allocated_mb: int | None = Field(None, ge=0, le=MAX_INT32, description="MiB; unchanged if omitted.")
    timestamp: Moment = None

    def event(self, deployment: Deployment, now: datetime) -> DeploymentEvent:
        """Convert to an event of this deployment; fields that are not given stay as they were."""
        vram = self.vram_allocated_mb
        return DeploymentEvent(
            node_id=deployment.node_id,
            provider_type=deployment.provider_type,
            announced_model=deployment.announced_model,
            status=self.status,
            vram_allocated_mb=deployment.vram_allocated_mb if vram is None else vram,
            endpoint=deployment.endpoint,
            error_message=self.error_message,
            event_at=clamp_event_time(self.timestamp, now),
            metadata=deployment.metadata,
        )
