"""What a registrant says of an instance of a model service. Addresses are looked at in `service_address.py`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from model_registry.entities.base import MAX_INT32, Draft, ShortName, printable, without
from model_registry.entities.model_service import Capability, Seconds, TrainingFlow, Version
from model_registry.entities.numbers import StrictNumbers

HEALTHY_WORDS = ("ok", "healthy", "running", "ready")
"""What a service that is well says of itself."""
MOST_CAPABILITIES = 100
MOST_LABELS = 64
LONGEST_URL = 2000


def _path_problem(value: str) -> str | None:
    if not value.startswith("/") or value.startswith("//"):
        return "must be a path, such as /health"
    if any(character <= " " or character in "#\\" or character > "~" for character in value):
        return "must be a path in ASCII, without spaces"
    return None


Word = Annotated[str, StringConstraints(min_length=1, max_length=100), printable]
Label = Annotated[str, StringConstraints(min_length=1, max_length=100), printable]
ServiceId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,199}$")]


class HealthCheck(Draft, StrictNumbers):
    """How an instance is probed: a GET, answered with 200 and, where there is a body, one of the words."""

    path: Annotated[str, Field(max_length=LONGEST_URL), without(_path_problem)] = Field(
        "/health", description="Below `service_url`."
    )
    words: Annotated[list[Word], Field(max_length=20)] = Field(
        default=list(HEALTHY_WORDS),
        description="What the answer must say: as its text, as `status`, or as a field that is true. Compared without "
        "case. An empty list accepts every answer with 200.",
    )
    check: Literal["get", "none"] = Field(
        "get", description="`none`: it is never probed; only requests tell how it is."
    )


class InstanceFields(Draft, StrictNumbers):
    """What is registered of an instance of a model service. What is left out stays as it is; null sets the default."""

    service_url: Annotated[str, Field(min_length=1, max_length=LONGEST_URL)] = Field(
        description="Where it answers, http or https. Not link-local, and without credentials.",
        examples=["http://10.0.0.5:8001"],
    )
    model_type: ShortName = Field(
        description="The model service that it is an instance of; made if it is new. Compared without case.",
        examples=["LSTM"],
    )
    capabilities: Annotated[list[Capability], Field(min_length=1, max_length=MOST_CAPABILITIES)] = Field(
        description="What it can be asked for: `prediction`, `multistep_prediction`, `forecasting`, `training`, or "
        "others.",
        examples=[["training", "prediction"]],
    )
    weight: float | None = Field(
        None, gt=0, le=1e9, description="Its share of the requests with the strategy `weighted`. 1 by default."
    )
    max_concurrent_requests: int | None = Field(
        None, ge=1, le=MAX_INT32, description="Most requests at once, from each replica. Unlimited by default."
    )
    timeout: Seconds | None = Field(
        None, description="Seconds for a whole request. By default those of the model service, else SERVICE_TIMEOUT."
    )
    version: Version | None = Field(None, description="The version of the model that it serves, if it is one.")
    model_version: Version | None = Field(None, description="Another name of `version`.")
    labels: dict[Label, Annotated[str, Field(max_length=200)]] | None = Field(
        None, max_length=MOST_LABELS, examples=[{"zone": "cellar"}]
    )
    ttl_seconds: float | None = Field(
        None,
        ge=1,
        le=30 * 86400,
        description="It is gone when it has not been renewed for so long. By default it stays until it is deleted.",
    )
    training_flow: TrainingFlow | None = Field(
        None, description="`prepared`: data is prepared, and waited for, before training starts. `direct` by default."
    )
    health: HealthCheck | None = Field(None, description="How it is probed. By default GET /health.")

    def columns(self) -> dict[str, Any]:
        """Return the given fields as columns of the instance, all but the reference to its model service."""
        given = self.model_dump(exclude_unset=True, exclude={"model_type", "version", "model_version"})
        if {"version", "model_version"} & self.model_fields_set:
            given["model_version"] = self.version if self.version is not None else self.model_version
        return {
            _COLUMNS.get(name, name): _DEFAULTS.get(name) if value is None else value for name, value in given.items()
        }

    @field_validator("capabilities")
    @classmethod
    def _once_each(cls, given: list[str]) -> list[str]:
        return list(dict.fromkeys(given))

    @model_validator(mode="after")
    def _one_version(self) -> Self:
        if None not in (self.version, self.model_version) and self.version != self.model_version:
            raise ValueError("version and model_version mean the same, but have different values")
        return self


class Registration(InstanceFields):
    """An instance of a model service, under its own name."""

    service_id: ServiceId = Field(
        description="Its own name. Who registers the same again updates it.", examples=["lstm-1"]
    )


_COLUMNS = {"timeout": "timeout_seconds"}
"""Fields whose columns have another name."""
_DEFAULTS: dict[str, Any] = {"weight": 1.0, "labels": {}, "training_flow": "direct", "health": {}}
"""What null means for the columns that have a value in any case."""
