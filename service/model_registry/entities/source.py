"""Sources: something asked again and again for the models that exist, and what it answered last."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from model_registry.entities.base import MAX_INT32, Draft, LongName, Row, ShortName, Text, without
from model_registry.entities.offer import ESTIMATE
from model_registry.entities.own_variables import is_own
from model_registry.entities.provider import http_url_problem
from model_registry.entities.provider_types import PROVIDER_TYPES

SourceKind = Literal[
    "training_service",
    "ollama",
    "openai",
    "litellm_prices",
    "huggingface",
    "model_garden",
    "directory",
    "file",
    "module",
]


class KindFacts(NamedTuple):
    """What a kind of source takes."""

    address: Literal["url", "url or default", "path", "none"]
    seconds: float = 30.0
    """For a whole answer, of a source that sets no timeout."""
    least_seconds: float = 0.0
    """Of the interval of a source that sets none: what changes once a day is not asked twice a minute."""


KINDS: dict[str, KindFacts] = {
    "training_service": KindFacts("url"),
    "ollama": KindFacts("url", 120.0),
    "openai": KindFacts("url"),
    "litellm_prices": KindFacts("url or default", 60.0, 3600.0),
    "huggingface": KindFacts("url or default", 300.0, 3600.0),
    "model_garden": KindFacts("url"),
    "directory": KindFacts("path"),
    "file": KindFacts("path"),
    "module": KindFacts("none"),
}
LONGEST_INTERVAL = 30 * 86400.0
MOST_SKIPPED = 100
"""Entries that are kept with their reasons; all are counted."""

_HAND = "hand"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PATH = re.compile(r"[^/\x00-\x1f]+(/[^/\x00-\x1f]+)*")


def _name_problem(value: str) -> str | None:
    if value == _HAND or value.endswith(ESTIMATE):
        return f"must not be {_HAND!r}, nor end with {ESTIMATE!r}: fields of models are marked with it"
    return None


def _type_problem(value: str) -> str | None:
    return None if value in PROVIDER_TYPES else "is not a known provider type; see GET /api/providers?type="


def variable_problem(name: str) -> str | None:
    """Return why the value of a variable is not sent to a source, or None."""
    if not _VARIABLE.fullmatch(name):
        return "must be the name of an environment variable"
    return "must not be a variable of the registry itself: the source gets its value" if is_own(name) else None


class SourceOptions(Draft):
    """What a source may bring, and what is particular to its kind."""

    activate: bool = Field(default=False, description="New models are active. They are not otherwise.")
    only_existing: bool = Field(default=False, description="Fill fields of models that exist; add none.")
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] | None = Field(
        None, description="For a whole answer. Null: 30; of `ollama` 120, of `litellm_prices` 60, of `huggingface` 300."
    )
    provider_type: Annotated[str, without(_type_problem)] | None = Field(
        None, description="Of `openai`: the type of a new provider. Null: as its models say, else openai_compatible."
    )
    models: Annotated[list[LongName], Field(max_length=500)] = Field(
        default=[], description="Of `huggingface`: the names of the models.", examples=[["Qwen/Qwen3-8B"]]
    )
    only: Annotated[list[ShortName], Field(max_length=200)] = Field(
        default=[],
        description="Of `litellm_prices`: only models of these providers, by LiteLLM's or the registry's name.",
        examples=[["openai", "anthropic"]],
    )


class Source(Row):
    """A source as stored."""

    name: str
    kind: str
    address: str | None = None
    interval_seconds: float | None = None
    api_key_env_var: str | None = None
    provider: str | None = None
    framework: str | None = None
    position: int = 0
    active: bool = True
    options: dict[str, Any] = {}
    environment_variable: str | None = None


class SourceDraft(Draft):
    """Writable fields of a source."""

    name: Annotated[ShortName, without(_name_problem)] = Field(
        description="Its name, with which the fields that it fills are marked (`field_sources`).", examples=["gpu_1"]
    )
    kind: SourceKind = Field(examples=["ollama"])
    address: Annotated[Text, StringConstraints(min_length=1, max_length=2000)] | None = Field(
        None,
        validate_default=True,
        description="An http:// or https:// URL. Of `directory` and `file` a path below MODEL_REGISTRY_SOURCES_DIR. Of "
        "`litellm_prices` null is the map of the installed litellm, of `huggingface` null is https://huggingface.co; "
        "`module` has none.",
        examples=["http://gpu-1:11434"],
    )
    interval_seconds: Annotated[float, Field(ge=1, le=LONGEST_INTERVAL)] | None = Field(
        None,
        description="Seconds between two questions. Null: SERVICE_DISCOVERY_INTERVAL of the registry; of "
        "`litellm_prices` and `huggingface` at least an hour.",
    )
    api_key_env_var: Annotated[str, StringConstraints(max_length=200), without(variable_problem)] | None = Field(
        None,
        description="Environment variable of the registry that holds the server's API key.",
        examples=["GROQ_API_KEY"],
    )
    provider: ShortName | None = Field(
        None,
        description="Name of the provider that its models are offered by. Null: the one with its address, else a new "
        "one, called as the source.",
    )
    framework: ShortName | None = Field(
        None, description="Of `training_service`: only models of this framework.", examples=["timm"]
    )
    position: int = Field(
        0, ge=-MAX_INT32, le=MAX_INT32, description="Lower comes first where several sources list the same model."
    )
    active: bool = Field(default=True, description="Whether it is asked.")
    options: SourceOptions = SourceOptions()

    @field_validator("address")
    @classmethod
    def _fits_kind(cls, value: str | None, others: ValidationInfo) -> str | None:
        kind = KINDS.get(others.data.get("kind", ""))
        if kind is not None and (problem := address_problem(kind, value)):
            raise ValueError(problem)
        return value


def address_problem(kind: KindFacts, address: str | None) -> str | None:
    """Return why a source of this kind cannot have this address, or None."""
    if address is None:
        return None if kind.address in {"none", "url or default"} else "is required for this kind"
    if kind.address == "none":
        return "must be null for this kind: the operator sets MODEL_REGISTRY_SOURCES_MODULE"
    if kind.address == "path":
        ordinary = _PATH.fullmatch(address) and not {".", ".."} & set(address.split("/"))
        return None if ordinary else "must be a path below MODEL_REGISTRY_SOURCES_DIR, such as models/timm.json"
    return http_url_problem(address)


class SourceAnswer(Row):
    """What a source answered last, as stored. It has the id of its source."""

    state: str
    error: str | None = None
    failing_since: str | None = None
    last_good_at: str | None = None
    question: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    digest: str | None = None
    counts: dict[str, int] = {}
    skipped: list[dict[str, str]] = []
    passed_over: list[dict[str, str]] = []
    listed: list[str] = []
