"""A model, as one provider offers it; its capabilities, its aliases, and the categories of models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from model_registry.entities.base import (
    MAX_INT32,
    Draft,
    GatewayLongName,
    JsonObject,
    LongName,
    Metadata,
    Row,
    ShortName,
    Text,
)

FLAGS = ("streaming", "vision", "tool_use", "json_mode", "structured_outputs", "training", "inference")
"""Tags that are also shown as flags."""

_SYNONYMS = {"function_calling": "tool_use", "tools": "tool_use", "tool_calling": "tool_use"}

CAPABILITIES = frozenset({
    *FLAGS,
    *("audio", "audio_input", "audio_output", "chat", "citations", "code", "code_completion", "code_generation"),
    *("completion", "computer_use", "embeddings", "fill_in_the_middle", "image_edit", "image_editing"),
    *("image_generation", "multilingual", "ocr", "parallel_tool_use", "pdf_input", "prompt_caching", "realtime"),
    *("reasoning", "reranking", "transcription", "tts", "video", "video_input", "web_search"),
})  # fmt: skip
"""Capabilities that seeds and importers write. Others are allowed; near one of these, they look misspelt."""


def canonical(tag: str) -> str:
    """Return the canonical name of a capability: `tool_use` for `function_calling`, in any case."""
    lowered = tag.lower()
    return _SYNONYMS.get(lowered, lowered)


def flags(capabilities: Iterable[str]) -> dict[str, bool]:
    """Return each well-known capability, and whether the tags include it."""
    known = {canonical(tag) for tag in capabilities}
    return {flag: flag in known for flag in FLAGS}


ModelType = Literal["chat", "embedding", "reranker", "vl", "tts", "audio", "image", "other"]
"""The interface of a model. `other`: for a task without one that gateways know, such as classification, detection,
segmentation or forecasting; `task_types` says which."""

MODEL_TYPE_SYNONYMS = {
    "llm": "chat",
    "text": "chat",
    "vision": "vl",
    "vlm": "vl",
    "embeddings": "embedding",
    "embed": "embedding",
    "rerank": "reranker",
}
"""Existing clients' names of our model types (reference/wire-contracts.md)."""

USUAL_CATEGORIES = {
    "chat": "text-llm",
    "vl": "vision-vlm",
    "embedding": "embedding",
    "reranker": "reranker",
    "tts": "text-to-speech",
    "audio": "speech-to-text",
    "image": "image-generation",
}
"""Model type -> the category that imported models get; `other` has models of many."""

EXTRA_CATEGORIES = frozenset(USUAL_CATEGORIES.values()) - {"text-llm", "vision-vlm"}
"""Categories that every registry has, and that Model Garden's programs do not expect."""

ROUTED_TYPES = frozenset({"chat", "vl"})
"""Types rendered under `[models]` in a gateway configuration."""


ModelStatus = Literal["active", "experimental", "deprecated", "disabled", "maintenance"]

OFFERED_STATUSES = frozenset({"active", "experimental"})
"""Statuses of selectable models. Whether the gateway serves a model depends on `active` alone."""


class ModelColumns(Row):
    """A model as stored, without its card."""

    provider_id: str
    name: str
    model_id: str
    model_type: str = "chat"
    capabilities: list[str] = []
    vram_mb: int | None = None
    context_length: int | None = None
    description: str | None = None
    routing_priority: int = 0
    tensorzero: dict[str, Any] = {}
    litellm: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    active: bool = True
    status: str = "active"
    missing_since: str | None = None
    field_sources: dict[str, str] = {}


class Model(ModelColumns):
    """A model as stored."""

    card: dict[str, Any] = {}
    """The known fields of `ModelCard`."""


def _distinct(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


Tags = Annotated[list[ShortName], AfterValidator(_distinct)]


class ModelDraft(Draft):
    """Writable fields of a model besides its card, with its provider resolved."""

    provider_id: str
    name: GatewayLongName = Field(
        description="Name that callers use; also the gateway's model key.", examples=["qwen3_8b_local"]
    )
    model_id: LongName = Field(description="The provider's name for the model.", examples=["qwen3:8b"])
    model_type: ModelType = Field("chat", examples=["chat"])
    capabilities: Tags = Field(default=[], max_length=200, examples=[["chat", "tool_use"]])
    vram_mb: int | None = Field(
        None, ge=0, le=MAX_INT32, description="GPU memory of the loaded model, MiB.", examples=[6144]
    )
    context_length: int | None = Field(
        None, ge=0, le=MAX_INT32, description="Input and output, tokens.", examples=[32768]
    )
    description: Text | None = None
    routing_priority: int = Field(
        0, ge=-MAX_INT32, le=MAX_INT32, description="Order among rows with the same name; lower is tried first."
    )
    tensorzero: JsonObject = Field(
        default={},
        description="`provider_key`: this row's provider key in the gateway's model; `provider`: extra keys of that "
        "provider's table; `model`: extra keys of the model's table; `from_metadata`: `cost`, `timeouts`, taken from "
        "the metadata.",
    )
    litellm: JsonObject = Field(default={}, description="Extra keys of LiteLLM's entry of this model.")
    metadata: Metadata = {}
    active: bool = Field(
        default=True, description="Whether the gateway serves the model and lists for services include it."
    )
    status: ModelStatus = Field(
        "active", description="Only active and experimental models are offered.", examples=["active"]
    )


GATEWAY_CONTEXTS = frozenset({None, "default", "tensorzero"})
"""Contexts in which an alias is also a model key of the gateway."""


class Alias(Row):
    """An alias as stored."""

    model_id: str
    alias: str
    context: str | None = None


class AliasDraft(Draft):
    """Writable fields of an alias, with its model resolved."""

    model_id: str
    alias: GatewayLongName = Field(examples=["default_embedding"])
    context: ShortName | None = Field(
        None, description="Context in which the alias is valid; by default everywhere.", examples=["tensorzero"]
    )


class Category(Row):
    """A category as stored."""

    key: str
    name: str
    description: str = ""
    icon: str | None = None


class CategoryFacts(Draft):
    """A category without its key."""

    name: ShortName = Field(description="Display name.", examples=["Language models"])
    description: Text = ""
    icon: Annotated[Text, StringConstraints(max_length=200)] | None = Field(
        None, description="An emoji, or the name of an icon.", examples=["✍️"]
    )


class CategoryDraft(CategoryFacts):
    """Writable fields of a category."""

    key: ShortName = Field(description="Key that models refer to in `category`.", examples=["text-llm"])
