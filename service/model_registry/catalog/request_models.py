"""What callers may send for each resource: its draft, with references given as ids, names or a provider's own names.

Finding what a reference means needs a snapshot; `columns` of each body answers the row's columns, checked.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from model_registry.catalog.gateways import checked_gateway
from model_registry.entities.base import MAX_INT32, Draft, ShortName, Text
from model_registry.entities.config import ConfigFileDraft, ConfigSectionDraft
from model_registry.entities.function import FunctionDraft, MappingDraft, default_function_name
from model_registry.entities.gateway import DEFAULT_GATEWAY, GatewayDraft
from model_registry.entities.json_types import Json
from model_registry.entities.model import AliasDraft, CategoryDraft, ModelDraft, Tags
from model_registry.entities.model_card import CARD_FIELDS, ModelCard, known
from model_registry.entities.model_service import ModelServiceDraft
from model_registry.entities.numbers import StrictNumbers
from model_registry.entities.provider import DESCRIPTION, Provider, ProviderDraft
from model_registry.entities.source import SourceDraft
from model_registry.errors import Invalid, InvalidModel, NotFound, Reason, UnknownReference
from model_registry.snapshot.lookup import find_model, find_provider
from model_registry.snapshot.snapshot import Snapshot

_MODEL = "The model: its id, its name, or what its provider calls it."
_PROVIDER = "The provider (id or name), where the model's name alone fits several rows."


_TAGS_OR_FLAGS = {
    "anyOf": [
        {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 200}, "maxItems": 200},
        {"type": "object", "additionalProperties": {"type": "boolean"}},
    ]
}


def _tags(given: Json) -> Json:
    """Tags, also of who sends flags: `{"vision": true, "supports_streaming": false}` is `["vision"]`."""
    if not isinstance(given, dict) or not all(isinstance(flag, bool) for flag in given.values()):
        return given
    return [str(tag).removeprefix("supports_") for tag, flag in given.items() if flag]


class RequestModel(Draft, StrictNumbers):
    """What callers send for a resource."""

    def columns(self, snapshot: Snapshot) -> dict[str, Any]:  # noqa: ARG002 (for bodies with references)
        """Return the row to write, its references as ids. Errors: Invalid, UnknownReference, AmbiguousName."""
        return self.model_dump()


class ProviderBody(ProviderDraft, RequestModel):
    """A provider, as callers send it."""

    description: Text | None = Field(None, description="What it is, for people. Kept as `metadata.description`.")

    @model_validator(mode="before")
    @classmethod
    def _keep_description(cls, given: Json) -> Json:
        metadata = given.get("metadata", {}) if isinstance(given, dict) else None
        if not isinstance(given, dict) or not isinstance(metadata, dict):
            return given
        if (text := given.get("description")) is None:
            return given
        if metadata.get(DESCRIPTION, text) != text:
            raise ValueError("description is another name of metadata.description, but has a different value")
        return {**given, "metadata": {**metadata, DESCRIPTION: text}}

    def columns(self, snapshot: Snapshot) -> dict[str, Any]:  # noqa: ARG002 (for bodies with references)
        """The row to write."""
        return self.model_dump(exclude={"description"})


class CategoryBody(CategoryDraft, RequestModel):
    """A category, as callers send it."""


class ModelServiceBody(ModelServiceDraft, RequestModel):
    """A model service, as callers send it."""


class SourceBody(SourceDraft, RequestModel):
    """A source, as callers send it."""


class GatewayBody(GatewayDraft, RequestModel):
    """A gateway, as callers send it."""

    def columns(self, snapshot: Snapshot) -> dict[str, Any]:
        """The row to write. Errors: UnknownReference, Invalid."""
        return checked_gateway(snapshot, self.model_dump())


class ConfigFileBody(ConfigFileDraft, RequestModel):
    """A file of a gateway's configuration."""

    gateway: ShortName = DEFAULT_GATEWAY


class ConfigSectionBody(ConfigSectionDraft, RequestModel):
    """A section of a gateway's configuration."""

    gateway: ShortName = DEFAULT_GATEWAY


class ModelBody(ModelDraft, ModelCard, RequestModel):
    """A model, as callers send it. Fields of the card stand beside the others."""

    capabilities: Annotated[Tags, BeforeValidator(_tags), WithJsonSchema(_TAGS_OR_FLAGS)] = Field(
        default=[],
        max_length=200,
        description="A list of tags, or an object of flags of which the true ones count.",
        examples=[["chat", "tool_use"]],
    )
    context_window: Annotated[int, Field(ge=0, le=MAX_INT32)] | None = Field(
        None, description="Same as `context_length`."
    )
    provider_id: str | None = Field(None, description="The provider's id or name.")  # type: ignore[assignment] # may be given by name
    provider: str | None = Field(None, description="The provider's name, instead of its id.", examples=["ollama_local"])
    provider_name: str | None = Field(None, description="Same as `provider`.")

    def columns(self, snapshot: Snapshot) -> dict[str, Any]:
        """The row to write, its card as one column. Errors: InvalidModel, UnknownReference."""
        reference = self.provider_id or self.provider or self.provider_name
        if reference is None:
            message = "A model needs a provider: set provider_id or provider."
            raise InvalidModel(message, reasons=[Reason("provider_id", message)])
        provider = _provider(snapshot, "provider_id", reference)
        if self.provider and _provider(snapshot, "provider", self.provider).id != provider.id:
            message = f"means another provider than provider_id, which is that of {provider.name!r}; give one of them"
            raise InvalidModel(f"provider: {message}", reasons=[Reason("provider", message)])
        self._check_card(snapshot)
        own = self.model_dump(exclude={"provider", "provider_name", "context_window", *CARD_FIELDS})
        return own | {
            "provider_id": provider.id,
            "context_length": self.context_window if self.context_length is None else self.context_length,
            "card": known(self),
        }

    def _check_card(self, snapshot: Snapshot) -> None:
        reasons = []
        if self.category is not None and not snapshot.categories.where("key", self.category):
            allowed = ", ".join(c.key for c in snapshot.categories)
            rest = f". Allowed: {allowed}" if allowed else "; there are none yet"
            reasons.append(Reason("category", f"there is no category {self.category!r}{rest}"))
        if self.replaced_by is not None and not snapshot.models.where("name", self.replaced_by):
            reasons.append(Reason("replaced_by", f"there is no model named {self.replaced_by!r}"))
        if self.context_length is not None and self.context_window not in (None, self.context_length):
            reasons.append(Reason("context_window", "is another name of context_length, but has a different value"))
        if reasons:
            raise InvalidModel("; ".join(map(str, reasons)), reasons=reasons)


class AliasBody(AliasDraft, RequestModel):
    """An alias, as callers send it."""

    model_id: str | None = Field(None, description=_MODEL, examples=["qwen3:8b"])  # type: ignore[assignment] # may be given by name
    model: str | None = Field(None, description="The same as `model_id`.")
    provider: str | None = Field(None, description=_PROVIDER, examples=["ollama_local"])

    def columns(self, snapshot: Snapshot) -> dict[str, Any]:
        """The row to write. Errors: Invalid, UnknownReference, AmbiguousName."""
        model_id = _meant_model(snapshot, self)
        if snapshot.models[model_id].name == self.alias:
            message = "is the name of its own model, which is found by it already; choose another name"
            raise Invalid(f"alias: {message}", reasons=[Reason("alias", message)])
        return {"model_id": model_id, "alias": self.alias, "context": self.context}


class FunctionBody(FunctionDraft, RequestModel):
    """A function, as callers send it."""

    def columns(self, snapshot: Snapshot) -> dict[str, Any]:  # noqa: ARG002 (for bodies with references)
        """The row to write."""
        name = self.name or default_function_name(self.service_name, self.function_name)
        return self.model_dump() | {"name": name}


class MappingBody(MappingDraft, RequestModel):
    """A mapping, as callers send it."""

    model_id: str | None = Field(None, description=_MODEL, examples=["qwen3:8b"])  # type: ignore[assignment] # may be given by name
    model: str | None = Field(None, description="The same as `model_id`.")
    provider: str | None = Field(None, description=_PROVIDER, examples=["ollama_local"])
    fallback_model_id: str | None = Field(None, description="A model to try when this one fails: id or name.")
    fallback_provider: str | None = Field(
        None, description="The fallback model's provider, where its name is not enough."
    )

    def columns(self, snapshot: Snapshot) -> dict[str, Any]:
        """The row to write. Errors: Invalid, UnknownReference, AmbiguousName."""
        model_id = _meant_model(snapshot, self)
        fallback = self.fallback_model_id
        return self.model_dump(exclude={"model", "provider", "fallback_provider"}) | {
            "model_id": model_id,
            "fallback_model_id": None
            if fallback is None
            else _model_id(snapshot, "fallback_model_id", fallback, self.fallback_provider),
        }


def _meant_model(snapshot: Snapshot, body: AliasBody | MappingBody) -> str:
    """The id of the model that a body names as `model_id`, `model` or both. Errors: Invalid, as `_model_id`."""
    reference = body.model_id or body.model
    if not reference:
        message = "model_id is required: the model's id, its name, or the provider's name for it."
        raise Invalid(message, reasons=[Reason("model_id", message)])
    model_id = _model_id(snapshot, "model_id", reference, body.provider)
    if body.model and _model_id(snapshot, "model", body.model, body.provider) != model_id:
        message = (
            f"means another model than model_id, which is that of {snapshot.models[model_id].name!r}; give one of them"
        )
        raise Invalid(f"model: {message}", reasons=[Reason("model", message)])
    return model_id


def _provider(snapshot: Snapshot, field: str, reference: str) -> Provider:
    try:
        return find_provider(snapshot, reference)
    except NotFound as error:
        raise UnknownReference(error.message, reasons=[Reason(field, error.message)]) from error


def _model_id(snapshot: Snapshot, field: str, reference: str, provider: str | None) -> str:
    try:
        return find_model(snapshot, reference, provider).id
    except NotFound as error:
        raise UnknownReference(error.message, reasons=[Reason(field, error.message)]) from error
