"""Model Garden's classes, read from a document's entries: with attributes, and as the dictionaries that some were."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field, field_validator

from model_registry.entities.document import DocumentCapabilities, DocumentModel
from model_registry.entities.model_card import (
    Count,
    InferenceDefaults,
    Quantization,
    Requirements,
    SelectiveLoss,
    TrainingDefaults,
)

_INFERENCE = ("max_model_len", "dtype", "gpu_memory_utilization", "quantization", "tensor_parallel_size")


class ModelStatus(StrEnum):
    """Model Garden's statuses, and the registry's further ones."""

    STABLE = "stable"
    EXPERIMENTAL = "experimental"
    DEPRECATED = "deprecated"
    DISABLED = "disabled"
    MAINTENANCE = "maintenance"


class ModelCategory(StrEnum):
    """Model Garden's own categories."""

    TEXT_LLM = "text-llm"
    VISION_VLM = "vision-vlm"


OWN_CATEGORIES = frozenset(ModelCategory)


class AlsoDict(BaseModel):
    """An object whose fields can also be read as the keys of a dictionary. Unknown keys are kept.

    A field that was not given and is unknown is no key, but reads as None.
    """

    def keys(self) -> list[str]:
        """The keys: what was given, and what has a value."""
        return [name for name, value in self._all().items() if name in self.model_fields_set or value is not None]

    def values(self) -> list[Any]:
        """The values of the keys."""
        return [self[key] for key in self.keys()]

    def items(self) -> list[tuple[str, Any]]:
        """The keys with their values."""
        return [(key, self[key]) for key in self.keys()]

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 (any value)
        """The value of a key; the default where it is unknown."""
        value = self._all().get(key)
        return default if value is None else value

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 (any value)
        return self._all()[key]

    def __contains__(self, key: object) -> bool:
        return key in self.keys()

    def __len__(self) -> int:
        return len(self.keys())

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:  # type: ignore[override] # of a dictionary, not of a pydantic class
        """Iterate over the keys."""
        return iter(self.keys())

    def _all(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return fields | (self.__pydantic_extra__ or {})


class GardenQuantization(AlsoDict, Quantization, extra="allow"):
    """How the weights were quantised."""


class ModelRequirements(AlsoDict, Requirements, extra="allow"):
    """Hardware that a model needs."""

    min_gpus: Count = 1

    @field_validator("min_gpus", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:  # noqa: ANN401 (any JSON value)
        return 1 if value is None else value


class ModelCapabilities(AlsoDict, DocumentCapabilities, extra="allow"):
    """A model's capabilities."""


class GardenSelectiveLoss(AlsoDict, SelectiveLoss, extra="allow"):
    """Training that weights the parts of a structured answer."""


class GardenTraining(AlsoDict, TrainingDefaults, extra="allow"):
    """Default settings for fine-tuning."""

    selective_loss: GardenSelectiveLoss | None = None


class GardenInference(AlsoDict, InferenceDefaults, extra="allow"):
    """Default settings for serving a model."""

    tensor_parallel_size: Count = 1

    @field_validator("tensor_parallel_size", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:  # noqa: ANN401 (any JSON value)
        return 1 if value is None else value


class GardenModel(AlsoDict, DocumentModel, extra="allow"):
    """A model as it stands in a document."""

    tags: list[str] = Field(default_factory=list)
    quantization: GardenQuantization = Field(default_factory=GardenQuantization)
    requirements: ModelRequirements = Field(default_factory=ModelRequirements)
    capabilities: ModelCapabilities
    training_defaults: GardenTraining = Field(default_factory=GardenTraining)
    inference_defaults: GardenInference = Field(default_factory=GardenInference)
    urls: dict[str, str | None] = Field(default_factory=dict)

    @field_validator(
        *("tags", "quantization", "requirements", "training_defaults", "inference_defaults", "urls"), mode="before"
    )
    @classmethod
    def _something(cls, value: Any, info: Any) -> Any:  # noqa: ANN401 (any JSON value)
        """Replace null by an empty value, so that programs may look into it."""
        return ([] if info.field_name == "tags" else {}) if value is None else value

    @property
    def is_vision_model(self) -> bool:
        """Whether it takes images."""
        return self.capabilities.vision

    @property
    def is_quantized(self) -> bool:
        """Whether its weights are quantised."""
        return self.quantization.method is not None

    @property
    def supports_selective_loss(self) -> bool:
        """Whether training may weight the parts of a structured answer."""
        selective = self.training_defaults.selective_loss
        return selective is not None and selective.supported

    def get_training_hyperparameters(self) -> dict[str, Any]:
        """Return the default hyperparameters of training."""
        return dict(self.training_defaults.hyperparameters)

    def get_lora_config(self) -> dict[str, Any]:
        """Return the default settings of LoRA."""
        return dict(self.training_defaults.lora_config)

    def get_inference_config(self) -> dict[str, Any]:
        """Return the settings of a server that loads it; None where unknown, but one GPU."""
        return {name: getattr(self.inference_defaults, name) for name in _INFERENCE}

    def row_for_ui(self) -> dict[str, Any]:
        """Return what a list of models shows of it."""
        shown = ("id", "name", "category", "parameters", "description", "tags", "status")
        return {name: getattr(self, name) for name in shown} | {
            "is_vision": self.is_vision_model,
            "is_quantized": self.is_quantized,
            "min_vram_gb": self.requirements.min_vram_gb,
            "recommended_vram_gb": self.requirements.recommended_vram_gb,
        }
