"""How an entry of a training service is shown: in a list, as a guide, beside others.

Field names are a public contract.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, Field

from model_registry.catalog.views import View
from model_registry.entities.training_entry import Entry, priority_of


class TrainingModel(BaseModel):
    """An entry in the list. What its source does not say, or says in another type, is null, empty, or priority 2."""

    framework: str = Field(examples=["timm"])
    model_name: str = Field(examples=["tf_efficientnetv2_s.in1k"])
    display_name: str
    description: str
    params: str | None = Field(examples=["21.5M"])
    input_size: int | None
    task_types: list[str]
    pretrained_available: bool | None
    recommended_batch_size: int | None
    recommended_lr: float | None
    tags: list[str]
    priority: int = Field(description="0 is the first choice.")


class GuideModel(BaseModel):
    """The model in its guide."""

    framework: str
    model_name: str
    display_name: str
    description: str
    params: str | None
    input_size: int | None
    task_types: list[str]
    tags: list[str]


class Guide(BaseModel):
    """What helps to choose a model. The parts are as their source wrote them."""

    model: GuideModel
    benchmark: Any = Field(examples=[{"imagenet_top1": 84.3}])
    use_cases: Any
    pros: Any
    cons: Any
    when_to_use: Any
    when_not_to_use: Any
    alternatives: Any = Field(examples=[[{"model": "resnet50", "reason": "Easier to understand"}]])
    recommended_settings: Any
    real_world_examples: Any
    special_features: Any


class ComparedModel(BaseModel):
    """A model beside others."""

    framework: str
    model_name: str
    display_name: str
    params: str | None
    task_types: list[str]
    benchmark: Any
    tags: list[str]


class ComparedModels(BaseModel):
    """Models side by side, as they were asked for."""

    models: list[ComparedModel]
    count: int


class TrainingList(BaseModel):
    """Whole entries, in the envelope of a training service."""

    framework: str = Field(description="The framework asked for, or `all`.")
    model_count: int
    models: list[dict[str, Any]]


_MISSING: dict[str, Any] = {
    "benchmark": {},
    "use_cases": [],
    "pros": [],
    "cons": [],
    "when_to_use": "",
    "when_not_to_use": None,
    "alternatives": [],
    "recommended_settings": {},
    "real_world_examples": [],
    "special_features": None,
}
"""Part of a guide -> what stands for one that an entry lacks."""


def _texts(value: object) -> list[str]:
    """Return the texts of a list; none for any other value."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def list_view(entry: Entry) -> View:
    """Return an entry as the list shows it: the shape of `TrainingModel`."""
    rate, pretrained = entry.get("recommended_lr"), entry.get("pretrained_available")
    return {
        "framework": entry["framework"],
        "model_name": entry["model_name"],
        "display_name": _text(entry.get("display_name")) or entry["model_name"],
        "description": _text(entry.get("description")) or "",
        "params": _text(entry.get("params")),
        "input_size": _integer(entry.get("input_size")),
        "task_types": _texts(entry.get("task_types")),
        "pretrained_available": pretrained if isinstance(pretrained, bool) else None,
        "recommended_batch_size": _integer(entry.get("recommended_batch_size")),
        "recommended_lr": rate if isinstance(rate, int | float) and not isinstance(rate, bool) else None,
        "tags": _texts(entry.get("tags")),
        "priority": priority_of(entry),
    }


def guide_view(entry: Entry) -> View:
    """Return the guide of an entry: the shape of `Guide`."""
    parts = {name: entry.get(name, missing) for name, missing in _MISSING.items()}
    return {"model": _some(list_view(entry), GuideModel.model_fields), **parts}


def comparison_view(entry: Entry) -> View:
    """Return an entry as it stands beside others: the shape of `ComparedModel`."""
    shown = list_view(entry) | {"benchmark": entry.get("benchmark", {})}
    return _some(shown, ComparedModel.model_fields)


def _some(view: View, names: Iterable[str]) -> View:
    return {name: view[name] for name in names}
