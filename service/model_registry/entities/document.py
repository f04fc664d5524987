"""The whole catalogue as one document, `models_registry.json`: Model Garden's format and our additions.

Documents that we write have all keys that Model Garden's readers expect, null where unknown. The keys after `urls` are
ours; documents from elsewhere may lack them. Active models have the status `stable`. Conversion is in `garden/`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from model_registry.entities.base import (
    MAX_INT32,
    Draft,
    GatewayLongName,
    GatewayShortName,
    JsonObject,
    LongName,
    ShortName,
    Text,
)
from model_registry.entities.model import CategoryFacts, ModelType, Tags
from model_registry.entities.model_card import ModelCard
from model_registry.entities.provider import ApiBase, VariableName
from model_registry.entities.provider_types import ProviderTypeName

VERSION = "1.0.0"
"""The format's version. Readers accept any 1.x.y."""

DocumentStatus = Literal["stable", "experimental", "deprecated", "disabled", "maintenance"]


class DocumentCapabilities(Draft):
    """A model's capabilities. Further names with true or false are allowed, and become tags."""

    training: bool = False
    inference: bool = False
    vision: bool = False
    structured_outputs: bool = False
    streaming: bool = False
    function_calling: bool = Field(default=False, description="Called `tool_use` elsewhere in this API.")

    __pydantic_extra__: dict[str, bool]
    model_config = Draft.model_config | {"extra": "allow"}


class DocumentProvider(Draft):
    """A provider, under its name. One with default values may be left out."""

    type: ProviderTypeName = "custom"
    api_base: ApiBase | None = None
    api_key_env_var: VariableName | None = Field(
        None, description="Name of the environment variable; never the key itself."
    )
    tensorzero: JsonObject = {}
    metadata: JsonObject = {}
    active: bool = True


class DocumentAlias(Draft):
    """Another name of the model."""

    model_config = Draft.model_config | {"extra": "forbid"}

    alias: GatewayLongName
    context: ShortName | None = None


class DocumentModel(ModelCard):
    """A model, under its id. All fields of the model card are allowed."""

    id: GatewayLongName = Field(description="The model's key in the document.", examples=["unsloth/tinyllama-bnb-4bit"])
    name: ShortName = Field(description="Display name.", examples=["TinyLlama 1.1B (4-bit)"])
    provider: GatewayShortName = Field(examples=["unsloth"])
    description: Text | None = None
    status: DocumentStatus
    capabilities: DocumentCapabilities

    registry_name: GatewayLongName | None = Field(None, description="Name that callers use. By default the id.")
    model_id: LongName | None = Field(None, description="The provider's name for the model. By default the id.")
    model_type: ModelType | None = Field(None, description="By default derived from category and capabilities.")
    capability_tags: Tags | None = Field(
        None, max_length=200, description="All tags, in order. By default the capabilities that are true."
    )
    context_window: Annotated[int, Field(ge=0, le=MAX_INT32)] | None = Field(None, description="Tokens.")
    vram_mb: Annotated[int, Field(ge=0, le=MAX_INT32)] | None = Field(None, description="MiB.")
    routing_priority: Annotated[int, Field(ge=-MAX_INT32, le=MAX_INT32)] | None = None
    active: bool | None = Field(None, description="Whether the gateway serves the model. By default true.")
    aliases: list[DocumentAlias] | None = Field(None, max_length=1000)
    tensorzero: JsonObject | None = None
    metadata: JsonObject | None = None
    field_sources: dict[ShortName, Text] | None = Field(None, description="Field -> importer that filled it.")


class Document(Draft):
    """The catalogue: categories, providers with more than a name, and models."""

    version: Annotated[str, StringConstraints(pattern=r"^1\.\d+\.\d+$")] = Field(
        description="Version of the format.", examples=[VERSION]
    )
    last_updated: datetime | None = Field(None, description="When the document was written. Informational only.")
    categories: dict[ShortName, CategoryFacts] = {}
    providers: dict[GatewayShortName, DocumentProvider] = {}
    models: dict[LongName, DocumentModel]


def document_schema() -> dict[str, Any]:
    """Return the JSON Schema of the format."""
    schema = Document.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "models_registry.json"}
