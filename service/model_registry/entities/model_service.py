"""Model services: a kind of service that answers `/predict` or `/train`, and its instances, each one address of it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from model_registry.entities.base import Draft, Metadata, Row, ShortName, Text, printable, without

Strategy = Literal["round_robin", "weighted", "least_loaded", "sticky"]
InstanceStatus = Literal["active", "draining", "retired"]
TrainingFlow = Literal["direct", "prepared"]

MOST_TRIES = 10
MOST_QUEUED = 10_000
LONGEST_SECONDS = 7 * 86400.0
"""Of any time limit that a model service may set."""

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_SECRET_HEADERS = frozenset({"authorization", "cookie", "x-api-key", "proxy-authorization"})


def _header_problem(value: str) -> str | None:
    if not _HEADER.fullmatch(value):
        return "must be the name of an HTTP header, such as X-Session-Id"
    if value.lower() in _SECRET_HEADERS:
        return "must not be a header that holds a secret: it would decide who gets which instance"
    return None


class ModelService(Row):
    """A model service as stored."""

    model_type: str
    description: str | None = None
    strategy: str | None = None
    sticky_header: str | None = None
    selected_version: str | None = None
    version_weights: dict[str, float] = {}
    repeatable: list[str] | None = None
    timeouts: dict[str, float] = {}
    most_tries: int | None = None
    queue_length: int | None = None
    queue_seconds: float | None = None
    training_grace_seconds: float | None = None
    metadata: dict[str, Any] = {}


Capability = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,99}$")]
Version = Annotated[str, StringConstraints(min_length=1, max_length=100), printable]
Seconds = Annotated[float, Field(gt=0, le=LONGEST_SECONDS)]


class ModelServiceDraft(Draft):
    """Writable fields of a model service."""

    model_type: ShortName = Field(description="Its name. Compared without case.", examples=["LSTM"])
    description: Text | None = Field(None, max_length=2000)
    strategy: Strategy | None = Field(
        None, description="How an instance is chosen. Null: LOAD_BALANCING_STRATEGY of the registry."
    )
    sticky_header: Annotated[str, without(_header_problem)] | None = Field(
        None,
        description="With `strategy: sticky`: requests with the same value of this header go to the same instance.",
        examples=["X-Session-Id"],
    )
    selected_version: Version | None = Field(
        None,
        description="The version for requests that name none, or `latest`. Null: by `version_weights`, else the newest "
        "by its training date.",
    )
    version_weights: dict[Version, Annotated[float, Field(ge=0, le=1e9)]] = Field(
        default={},
        max_length=100,
        description="Version -> its share of the requests that name none, or `latest`.",
        examples=[{"20261101_0900": 9, "20261130_0900": 1}],
    )
    repeatable: Annotated[list[Capability], Field(max_length=100)] | None = Field(
        None,
        description="Capabilities whose requests may be sent to a second instance after a first one failed. Null: "
        "prediction, multistep_prediction, forecasting. Training never is.",
    )
    timeouts: dict[Capability, Seconds] = Field(
        default={},
        max_length=100,
        description="Capability -> seconds for a whole request.",
        examples=[{"training": 7200}],
    )
    most_tries: int | None = Field(
        None, ge=1, le=MOST_TRIES, description="Instances tried for a request. Null: MAX_RETRIES of the registry, + 1."
    )
    queue_length: int | None = Field(
        None,
        ge=0,
        le=MOST_QUEUED,
        description="Requests that may wait for an instance, in each replica of the registry. Null: 100.",
    )
    queue_seconds: float | None = Field(
        None, ge=0, le=3600, description="Longest time that a request waits for an instance. Null: 10."
    )
    training_grace_seconds: float | None = Field(
        None,
        ge=0,
        le=LONGEST_SECONDS,
        description="For how long an instance that trains may leave its probes without an answer. Null: 24 hours.",
    )
    metadata: Metadata = {}


class ServiceInstance(Row):
    """An instance of a model service as stored."""

    service_id: str
    model_service_id: str
    service_url: str
    capabilities: list[str]
    weight: float = 1.0
    max_concurrent_requests: int | None = None
    timeout_seconds: float | None = None
    model_version: str | None = None
    labels: dict[str, Any] = {}
    training_flow: str = "direct"
    health: dict[str, Any] = {}
    status: str = "active"
    status_reason: str | None = None
    ttl_seconds: float | None = None
    renewed_at: str = ""
    registered_by: str | None = None
    registered_over: str = "http"
