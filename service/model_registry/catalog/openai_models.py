"""The catalogue as OpenAI's interface lists it: what clients may name as `model`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from model_registry.catalog.views import View, is_offered
from model_registry.entities.model import GATEWAY_CONTEXTS, Model
from model_registry.snapshot.snapshot import Snapshot


class OpenAIModel(BaseModel):
    """A model as OpenAI's interface has it."""

    id: str = Field(examples=["qwen3_8b"])
    object: Literal["model"]
    created: int = Field(description="Seconds since 1970.")
    owned_by: str = Field(description="The provider's name; of several, the one that is tried first.")


class OpenAIModels(BaseModel):
    """A list as OpenAI's interface has it."""

    object: Literal["list"]
    data: list[OpenAIModel]


def openai_models(snapshot: Snapshot) -> list[View]:
    """Offered models, one entry a name, and the aliases that hold everywhere; by name."""
    names = {model.name for model in snapshot.models}
    names |= {alias.alias for alias in snapshot.aliases if alias.context in GATEWAY_CONTEXTS}
    return [entry for name in sorted(names) if (entry := openai_model(snapshot, name)) is not None]


def openai_model(snapshot: Snapshot, name: str) -> View | None:
    """The entry of a name, if it is listed."""
    model = next(_named(snapshot, name), None)
    if model is None:
        return None
    created = int(datetime.fromisoformat(model.created_at).timestamp()) if model.created_at else 0  # some tests: none
    owner = snapshot.providers[model.provider_id].name
    return {"id": name, "object": "model", "created": created, "owned_by": owner}


def _named(snapshot: Snapshot, name: str) -> Iterator[Model]:
    """The offered models that a name means, in routing order: its own, or those it is an alias of."""
    yield from (model for model in snapshot.models.where("name", name) if _is_listed(snapshot, model))
    for alias in snapshot.aliases.where("alias", name):
        model = snapshot.models.get(alias.model_id)
        if alias.context in GATEWAY_CONTEXTS and model is not None and _is_listed(snapshot, model):
            yield model


def _is_listed(snapshot: Snapshot, model: Model) -> bool:
    """Whether a model can be chosen by a client of this interface; models for other tasks have none."""
    return model.model_type != "other" and is_offered(snapshot, model)
