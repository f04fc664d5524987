"""Model Garden's registry, with its names: from a registry over HTTP, or from a models_registry.json."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from model_registry.client.blocking import Client
from model_registry.client.compat.garden_models import (
    GardenInference as InferenceDefaults,
)
from model_registry.client.compat.garden_models import (
    GardenModel,
    ModelCapabilities,
    ModelCategory,
    ModelRequirements,
    ModelStatus,
)
from model_registry.client.row_calls import read_row
from model_registry.entities.fitness import FitnessResult, Hardware, Use, check_fitness, unknown_model
from model_registry.entities.gpu_memory import TrainingSettings
from model_registry.entities.model import EXTRA_CATEGORIES

__all__ = [
    "GardenModel",
    "GardenRegistry",
    "InferenceDefaults",
    "ModelCapabilities",
    "ModelCategory",
    "ModelInfo",
    "ModelRegistry",
    "ModelRequirements",
    "ModelStatus",
    "get_model",
    "get_registry",
    "get_text_models",
    "get_vision_models",
    "validate_model_for_inference",
    "validate_model_for_training",
]


ModelInfo = GardenModel
"""Model Garden's name for a model."""


class GardenRegistry:
    """All models of one source.

    Args:
        source: a registry's URL, or the path of a document; else MODEL_REGISTRY_URL, else this machine's registry.
        client: how to ask the registry.
        registry_path: the path of a document, under Model Garden's name.
    """

    def __init__(
        self,
        source: str | Path | None = None,
        *,
        client: Client | None = None,
        registry_path: str | Path | None = None,
    ) -> None:
        source = source if registry_path is None else registry_path
        is_url = isinstance(source, str) and source.startswith(("http://", "https://"))
        self._file = Path(source) if source is not None and not is_url else None
        self._client = client or (Client(str(source) if source else None) if self._file is None else None)
        self._content: dict[str, Any] | None = None
        self._read: tuple[Any, dict[str, GardenModel]] = (None, {})

    def close(self) -> None:
        """Close the connections to the registry, if there are any."""
        if self._client is not None:
            self._client.close()

    def get_all_models(self) -> dict[str, GardenModel]:
        """Return all models by id, in the document's order. Errors: RegistryUnreachable; FileNotFoundError."""
        raw = self._document()["models"]
        if raw is not self._read[0]:  # the client returns the same object until it changes
            self._read = raw, {key: read_row(GardenModel, entry) for key, entry in raw.items()}
        return dict(self._read[1])

    def get_model(self, model_id: str) -> GardenModel | None:
        """Find a model by id, or by its name in the registry; None without one."""
        models = self.get_all_models()
        return models.get(model_id) or next((m for m in models.values() if m.registry_name == model_id), None)

    def check_model_exists(self, model_id: str) -> bool:
        """Whether the model exists."""
        return self.get_model(model_id) is not None

    def get_models_by_category(self, category: str) -> list[GardenModel]:
        """List the models of a category."""
        return [model for model in self.get_all_models().values() if model.category == category]

    def get_text_models(self) -> list[GardenModel]:
        """List the models of the category text-llm."""
        return self.get_models_by_category("text-llm")

    def get_vision_models(self) -> list[GardenModel]:
        """List the models of the category vision-vlm."""
        return self.get_models_by_category("vision-vlm")

    def get_models_by_tag(self, tag: str) -> list[GardenModel]:
        """List the models with a tag."""
        return [model for model in self.get_all_models().values() if tag in model.tags]

    def get_recommended_models(self, category: str | None = None) -> list[GardenModel]:
        """List the models with the tag `recommended`, of one category or of all."""
        return [model for model in self.get_models_by_tag("recommended") if category in (None, model.category)]

    def get_stable_models(self) -> list[GardenModel]:
        """List the models with the status `stable`, which is `active` elsewhere."""
        return [model for model in self.get_all_models().values() if model.status == "stable"]

    def get_categories(self) -> dict[str, dict[str, Any]]:
        """Return name, description and icon of each category, by key.

        The categories that a registry has beyond Model Garden's own are there only where a model uses them.
        """
        categories = self._document().get("categories", {})
        extra = EXTRA_CATEGORIES if self._client is not None else frozenset()
        unused = extra - {model.category for model in self.get_all_models().values()}
        return {key: category for key, category in categories.items() if key not in unused}

    def get_model_list_for_ui(self, category: str | None = None) -> list[dict[str, Any]]:
        """List what a user interface shows of the models of one category, or of all."""
        return [model.row_for_ui() for model in self.get_all_models().values() if category in {None, model.category}]

    def validate_model_for_training(self, model_id: str) -> tuple[bool, str | None]:
        """Check whether a model may be trained; if not, why."""
        result = self.judge(model_id, "training")
        return result.is_valid, result.error_message

    def validate_model_for_inference(self, model_id: str) -> tuple[bool, str | None]:
        """Check whether a model may be served; if not, why."""
        result = self.judge(model_id, "inference")
        return result.is_valid, result.error_message

    def judge(
        self,
        model_id: str,
        use: Use,
        hardware: Hardware | None = None,
        training: TrainingSettings | None = None,
    ) -> FitnessResult:
        """Return the whole result: the registry's own rule, `POST /api/v1/registry/validate/...`, on the local copy."""
        model, document = self.get_model(model_id), self._document()
        if model is None:
            return unknown_model(f"Model {model_id!r} not found in the registry.")
        entry = document["models"][model.id]
        provider = document.get("providers", {}).get(model.provider, {})
        active = entry.get("active", True) and provider.get("active", True)
        served = provider.get("type", "custom") != "custom"
        return check_fitness(entry | {"active": active}, use, hardware, served=served, training=training)

    def _document(self) -> dict[str, Any]:
        if self._client is not None:
            return self._client.export_document()
        if self._content is None and self._file is not None:
            self._content = json.loads(self._file.read_text("utf-8"))
        return self._content or {}


ModelRegistry = GardenRegistry
"""Model Garden's name for it."""


@cache
def get_registry(source: str | Path | None = None) -> GardenRegistry:
    """Return the registry of a source; the same object every time."""
    return GardenRegistry(source)


def get_model(model_id: str) -> GardenModel | None:
    """Find a model of `get_registry()`; None without one."""
    return get_registry().get_model(model_id)


def get_text_models() -> list[GardenModel]:
    """List the language models of `get_registry()`."""
    return get_registry().get_text_models()


def get_vision_models() -> list[GardenModel]:
    """List the vision-language models of `get_registry()`."""
    return get_registry().get_vision_models()


def validate_model_for_training(model_id: str) -> tuple[bool, str | None]:
    """Check whether a model of `get_registry()` may be trained; if not, why."""
    return get_registry().validate_model_for_training(model_id)


def validate_model_for_inference(model_id: str) -> tuple[bool, str | None]:
    """Check whether a model of `get_registry()` may be served; if not, why."""
    return get_registry().validate_model_for_inference(model_id)
