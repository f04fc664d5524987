"""The request of a selection: constraints, and weights for ranking. Evaluating them is in the other files."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from model_registry.entities.base import MAX_INT32
from model_registry.entities.gpus import GpuName, gpu_memory_gb
from model_registry.entities.model import ModelStatus
from model_registry.entities.numbers import StrictNumbers
from model_registry.selection.list_filters import Words
from model_registry.selection.request_counts import TokenCounts

_Milliseconds = Annotated[int, Field(ge=0, le=MAX_INT32)]
_Price = Annotated[float, Field(ge=0, le=1_000_000)]
_Score = Annotated[float, Field(ge=0, le=1)]
_Weight = Annotated[float, Field(ge=0, le=1_000_000)]


class _Part(StrictNumbers):
    """Base of the parts of a request: no infinite numbers."""

    model_config = ConfigDict(allow_inf_nan=False)


class QualityMinimums(_Part):
    """The minimum of each quality score."""

    reasoning: _Score | None = None
    coding: _Score | None = None
    creative: _Score | None = None
    summarization: _Score | None = None


class QualityWeights(_Part):
    """The weight of each quality score within quality."""

    reasoning: _Weight = 0
    coding: _Weight = 0
    creative: _Weight = 0
    summarization: _Weight = 0


class Constraints(_Part):
    """Hard constraints. A model and its provider must always be active."""

    capabilities: Words = Field([], description="All must match.", examples=[["vision", "tool_use"]])
    model_types: Words = Field([], description="One must match; synonyms are accepted.", examples=[["chat", "vl"]])
    categories: Words = Field([], description="One must match.", examples=[["text-llm"]])
    tags: Words = Field([], description="All must match.")
    statuses: Annotated[list[ModelStatus], Field(max_length=100)] = Field(
        ["active", "experimental"], description="One must match. By default only offered models."
    )
    providers: Words | None = Field(None, description="Only these providers: names, ids or types.")
    exclude_providers: Words = Field([], description="None of these providers: names, ids or types.")
    min_context: Annotated[int, Field(ge=0, le=MAX_INT32)] | None = Field(None, description="Tokens.")
    max_cost: Annotated[Decimal, Field(ge=0, max_digits=40, decimal_places=20)] | None = Field(
        None, description="US dollars for one request of `tokens`. Exact; a number or a string.", examples=["0.01"]
    )
    max_cost_per_1m_input_tokens: _Price | None = Field(None, description="US dollars for a million tokens.")
    max_cost_per_1m_output_tokens: _Price | None = Field(None, description="US dollars for a million tokens.")
    max_latency_p50_ms: _Milliseconds | None = None
    max_latency_p99_ms: _Milliseconds | None = None
    vram_gb: Annotated[float, Field(ge=0, le=1_000_000)] | None = Field(
        None,
        description="Available GPU memory, GB (10^9 bytes). A model needs the larger of `requirements.min_vram_gb` and "
        "`vram_mb`.",
    )
    gpu: GpuName | None = Field(None, description="The GPU's name, instead of `vram_gb`.", examples=["RTX 4090"])
    gpus: Annotated[int, Field(ge=1, le=100_000)] = Field(1, description="How many of `gpu`.")
    deployed: bool | None = Field(None, description="Whether the model is loaded on a node now.")
    min_quality: QualityMinimums = QualityMinimums()
    allow_unknown: bool = Field(
        default=False,
        description="Whether a model whose number is unknown meets a limit on it (context, cost, latency, memory, "
        "quality). By default it does not.",
    )

    @property
    def memory_gb(self) -> float | None:
        """The available GPU memory, as given or by the GPU's name."""
        return gpu_memory_gb(self.gpu, self.gpus) if self.vram_gb is None and self.gpu else self.vram_gb

    @field_validator("gpus")
    @classmethod
    def _of_a_gpu(cls, value: int, others: ValidationInfo) -> int:
        if not others.data.get("gpu"):
            message = "counts the GPUs of the name in gpu: give gpu too, or vram_gb for all together"
            raise ValueError(message)
        return value


class Weights(_Part):
    """Weights of the score's parts, relative to each other. When one above 0 is given, those not given are 0."""

    quality: _Weight = 1
    cost: _Weight = 1
    speed: _Weight = 1

    @model_validator(mode="before")
    @classmethod
    def _only_those_given(cls, value: object) -> object:
        # `{"speed": 0}` leaves speed out; `{"speed": 1}` wants nothing else.
        if not isinstance(value, dict) or not any(value.values()):
            return value
        return dict.fromkeys(cls.model_fields, 0) | value


class SelectionRequest(_Part):
    """Request for a selection."""

    tokens: TokenCounts = TokenCounts()
    constraints: Constraints = Constraints()
    weights: Weights = Weights()
    quality_scores: QualityWeights = Field(
        QualityWeights(reasoning=1, coding=1, creative=1, summarization=1),
        description="Weights of the quality scores. By default all four equally.",
        examples=[{"coding": 2, "reasoning": 1}],
    )
    limit: Annotated[int, Field(ge=1, le=100, description="Maximum number of models, best first.")] = 10
    excluded_limit: Annotated[
        int, Field(ge=0, le=1000, description="Maximum number of excluded models to list with reasons.")
    ] = 10

    @field_validator("weights")
    @classmethod
    def _some_weight(cls, value: Weights) -> Weights:
        if not value.quality + value.cost + value.speed:
            message = "at least one of quality, cost and speed must have a weight above 0"
            raise ValueError(message)
        return value

    @field_validator("quality_scores")
    @classmethod
    def _some_score(cls, value: QualityWeights) -> QualityWeights:
        if not value.reasoning + value.coding + value.creative + value.summarization:
            message = "at least one of reasoning, coding, creative and summarization must have a weight above 0"
            raise ValueError(message)
        return value
