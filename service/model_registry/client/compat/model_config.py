"""A model as programs of the old in-memory registry write and read it, from and to a registry's row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import Field, ValidationError

from model_registry.client.rows import CatalogModel
from model_registry.entities.base import ShortName
from model_registry.entities.field_errors import reasons_of
from model_registry.entities.model import OFFERED_STATUSES, ROUTED_TYPES, ModelDraft, canonical
from model_registry.entities.model_card import Count, ModelCard
from model_registry.errors import InvalidModel

_FLAGS = ("streaming", "vision", "tool_use", "json_mode", "structured_outputs")
TEXT = "text"
"""A capability of every language model. In rows it follows from the type."""


class ModelStatus(StrEnum):
    """Whether a model should be used."""

    ACTIVE = "active"
    EXPERIMENTAL = "experimental"
    DEPRECATED = "deprecated"
    DISABLED = "disabled"
    MAINTENANCE = "maintenance"


@dataclass
class ModelCapabilities:
    """What a model can do."""

    supports_streaming: bool = False
    supports_vision: bool = False
    supports_tool_use: bool = False
    supports_json_mode: bool = False
    supports_structured_outputs: bool = False
    supports_text: bool = True
    others: list[str] = field(default_factory=list)
    """Capabilities without a flag of their own, such as `code`."""

    @property
    def capabilities_list(self) -> list[str]:
        """The capabilities by name."""
        flags = [name for name in (TEXT, *_FLAGS) if getattr(self, f"supports_{name}")]
        return [*flags, *(name for name in map(canonical, self.others) if name not in flags)]

    @classmethod
    def of(cls, names: Iterable[str], *, text: bool) -> ModelCapabilities:
        """Make the capabilities with these names."""
        known = list(dict.fromkeys(map(canonical, names)))
        flags = {f"supports_{name}": name in known for name in _FLAGS}
        return cls(**flags, supports_text=text, others=[n for n in known if n not in {TEXT, *_FLAGS}])


@dataclass
class QualityScores:
    """Scores of a model, 0 to 1; None where unknown."""

    reasoning: float | None = None
    coding: float | None = None
    creative: float | None = None
    summarization: float | None = None


@dataclass
class ModelConfig:
    """A model; None is unknown. Checked when it is registered, not when it is made."""

    model_id: str
    provider: str
    display_name: str = ""
    capabilities: ModelCapabilities = field(default_factory=ModelCapabilities)
    context_window: int | None = None
    max_output_tokens: int | None = None
    cost_per_1m_input_tokens: float | None = None
    cost_per_1m_output_tokens: float | None = None
    rate_limit_rpm: int | None = None
    rate_limit_tpm: int | None = None
    latency_p50_ms: int | None = None
    latency_p99_ms: int | None = None
    status: ModelStatus = ModelStatus.ACTIVE
    quality_scores: QualityScores = field(default_factory=QualityScores)
    active: bool = True
    """False: switched off, whatever its status."""

    def is_available(self) -> bool:
        """Whether it is offered: active and experimental models are."""
        return self.active and self.status in OFFERED_STATUSES

    def supports_capability(self, capability: str) -> bool:
        """Whether it can do this; `function_calling` is `tool_use`."""
        return canonical(capability) in self.capabilities.capabilities_list

    has_capability = supports_capability


_FACTS = (
    *("max_output_tokens", "cost_per_1m_input_tokens", "cost_per_1m_output_tokens"),
    *("rate_limit_rpm", "rate_limit_tpm", "latency_p50_ms", "latency_p99_ms"),
)
"""Fields with the same names in a row's card."""


class _Checked(ModelDraft, ModelCard):
    """The checks of a registry, and those of the old one."""

    provider: ShortName
    context_window: Count | None = None
    provider_id: str = Field("", exclude=True)


def checked(config: ModelConfig) -> ModelConfig:
    """Return the same model. Errors: InvalidModel, naming every bad field."""
    try:
        _Checked.model_validate(fields_of(config))
    except ValidationError as error:
        reasons = reasons_of(error)
        message = f"The model {config.model_id!r} is not valid: {'; '.join(map(str, reasons))}"
        raise InvalidModel(message, reasons=reasons) from error
    return config


def fields_of(config: ModelConfig) -> dict[str, Any]:
    """Return the body of `POST /api/models` for a model."""
    can = config.capabilities
    scores = {name: score for name, score in asdict(config.quality_scores).items() if score is not None}
    return {
        "name": config.model_id,
        "model_id": config.model_id,
        "provider": config.provider,
        "model_type": ("vl" if can.supports_vision else "chat") if can.supports_text else "embedding",
        "display_name": config.display_name or None,
        "capabilities": [name for name in can.capabilities_list if name != TEXT],
        "context_window": config.context_window,
        "status": str(config.status),
        "quality_scores": scores or None,
        "active": config.active,
        **{name: getattr(config, name) for name in _FACTS},
    }


def config_of(row: CatalogModel, model_id: str) -> ModelConfig:
    """Make a model of this id from a row."""
    scores = row.quality_scores.model_dump() if row.quality_scores else {}
    return ModelConfig(
        model_id,
        row.provider_name or row.provider_id,
        row.display_name or "",
        ModelCapabilities.of(row.capabilities, text=row.model_type in ROUTED_TYPES),
        context_window=row.context_window,
        status=ModelStatus(row.status),
        quality_scores=QualityScores(**scores),
        active=row.offered if row.status in OFFERED_STATUSES else row.active,
        **{name: getattr(row, name) for name in _FACTS},
    )
