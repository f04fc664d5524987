"""A model's card: facts for choosing a model, each field with its unit.

Field names are a public contract (docs/reference/model-card.md). Every field may be unknown.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AnyUrl,
    BeforeValidator,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from model_registry.entities.base import MAX_INT32, Draft, JsonObject, LongName, Metadata, ShortName, Text, without
from model_registry.entities.prices import Factor, FurtherPrices

_URL: TypeAdapter[AnyUrl] = TypeAdapter(AnyUrl)


def _url_problem(value: str) -> str | None:
    try:
        _URL.validate_python(value)
    except ValidationError:
        return "must be a URL"
    return None


def _no_boolean(value: object) -> object:
    """Refuse true where a number goes: pydantic takes it for 1."""
    if isinstance(value, bool):
        message = f"must be a number, not {str(value).lower()}"
        raise ValueError(message)  # noqa: TRY004 (pydantic's way to refuse)
    return value


N = TypeVar("N", int | None, float | None)

HIGHEST_PRICE = 1_000_000
Price = Annotated[float, Field(ge=0, le=HIGHEST_PRICE), BeforeValidator(_no_boolean)]
"""US dollars per million tokens."""
Score = Annotated[float, Field(ge=0, le=1), BeforeValidator(_no_boolean)]
Count = Annotated[int, Field(ge=1, le=MAX_INT32), BeforeValidator(_no_boolean)]
Gigabytes = Annotated[float, Field(ge=0, le=100_000), BeforeValidator(_no_boolean)]
Url = Annotated[str, StringConstraints(max_length=2000), without(_url_problem)]


class QualityScores(Draft):
    """A model's quality by kind of task, 0 to 1."""

    reasoning: Score | None = None
    coding: Score | None = None
    creative: Score | None = None
    summarization: Score | None = None


class Benchmark(Draft):
    """One measured result."""

    score: float = Field(description="In the benchmark's own unit.")
    source: Text | None = Field(None, description="Source of the measurement: a URL or a text.")
    measured_on: date | None = None


class Quantization(Draft):
    """How the weights were quantized."""

    method: Literal["4bit", "8bit", "awq", "gptq", "fp8", "gguf", "mxfp4", "nvfp4", "int4", "int8"] | None = None
    type: ShortName | None = Field(None, description="The library or format.", examples=["bitsandbytes", "Q4_K_M"])


class Requirements(Draft):
    """Hardware needed to run the model. GB are 10^9 bytes."""

    min_vram_gb: Gigabytes | None = None
    recommended_vram_gb: Gigabytes | None = None
    min_ram_gb: Gigabytes | None = None
    cuda_compute_capability: Annotated[str, StringConstraints(pattern=r"^\d{1,2}\.\d$")] | None = Field(
        None, description="Minimum.", examples=["7.0"]
    )
    min_gpus: Count | None = None

    @field_validator("recommended_vram_gb")
    @classmethod
    def _in_order(cls, value: float | None, others: ValidationInfo) -> float | None:
        return _not_below("min_vram_gb", value, others)


class SelectiveLoss(Draft):
    """Training that weights the parts of a structured answer."""

    supported: bool = False
    default_level: Literal["conservative", "moderate", "aggressive"] | None = None
    recommended: bool | None = None


class TrainingDefaults(Draft):
    """Default settings for fine-tuning."""

    hyperparameters: JsonObject = Field(default={}, examples=[{"learning_rate": 0.0002, "num_epochs": 3}])
    lora_config: JsonObject = Field(default={}, examples=[{"r": 16, "lora_alpha": 16}])
    selective_loss: SelectiveLoss | None = None


class InferenceDefaults(Draft):
    """Default settings for serving the model."""

    max_model_len: Count | None = Field(None, description="Tokens.")
    dtype: Literal["auto", "float16", "bfloat16", "float32"] | None = None
    gpu_memory_utilization: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Share of GPU memory to use; 0: automatic."
    )
    quantization: ShortName | None = None
    tensor_parallel_size: Count | None = Field(None, description="GPUs.")


class ModelCard(Draft):
    """Facts of a model."""

    display_name: ShortName | None = Field(None, description="Display name.", examples=["Qwen 3 8B"])
    max_output_tokens: Count | None = Field(None, description="Maximum output, tokens.")
    cost_per_1m_input_tokens: Price | None = Field(None, description="US dollars.", examples=[0.15])
    cost_per_1m_output_tokens: Price | None = Field(None, description="US dollars.", examples=[0.6])
    cost_per_1m_cached_input_tokens: Price | None = Field(None, description="US dollars.")
    further_prices: FurtherPrices | None = Field(
        None,
        description="Prices beside the three above: by length, service tier, region, size; of cache writes, reasoning, "
        "images, seconds, ...",
        examples=[[{"of": "input_tokens", "per_million": "2.5", "above_input_tokens": 200_000}]],
    )
    price_factors: dict[ShortName, Factor] | None = Field(
        None,
        max_length=50,
        description="Region or term -> the factor of all prices of tokens there.",
        examples=[{"eu": "1.1"}],
    )
    rate_limit_rpm: Count | None = Field(None, description="Requests per minute allowed by the provider.")
    rate_limit_tpm: Count | None = Field(None, description="Tokens per minute allowed by the provider.")
    latency_p50_ms: Count | None = Field(None, description="Median response time, milliseconds.")
    latency_p99_ms: Count | None = Field(None, description="99th percentile of the response time, milliseconds.")
    quality_scores: QualityScores | None = None
    benchmarks: dict[ShortName, Benchmark] | None = Field(None, max_length=200)
    category: ShortName | None = Field(None, description="A key of `/api/categories`.", examples=["text-llm"])
    base_architecture: ShortName | None = Field(None, examples=["llama"])
    parameters: Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?[KMBT]$", max_length=20)] | None = Field(
        None, description="Number of parameters, as commonly written.", examples=["1.1B"]
    )
    quantization: Quantization | None = None
    requirements: Requirements | None = None
    training_defaults: TrainingDefaults | None = None
    inference_defaults: InferenceDefaults | None = None
    urls: dict[ShortName, Url | None] | None = Field(
        None, max_length=50, examples=[{"huggingface": "https://huggingface.co/Qwen/Qwen3-8B"}]
    )
    tags: list[ShortName] | None = Field(None, max_length=200, examples=[["recommended", "small"]])
    framework: ShortName | None = Field(None, examples=["transformers"])
    task_types: list[ShortName] | None = Field(None, max_length=200, examples=[["text-generation"]])
    model_version: ShortName | None = Field(None, description="The model's own version.", examples=["2025-08-07"])
    license: ShortName | None = Field(None, examples=["apache-2.0"])
    replaced_by: LongName | None = Field(None, description="Name of the model to use instead.")
    released_on: date | None = None
    deprecated_on: date | None = None
    retires_on: date | None = Field(None, description="Date from which the provider no longer serves the model.")
    training_entry: Metadata | None = Field(
        None,
        description="The whole entry of a training service, as `/models/list` shows it; at most 64 KiB as JSON.",
        examples=[{"framework": "timm", "model_name": "resnet50", "recommended_lr": 0.001, "priority": 0}],
    )

    # On the field and not on the model, so that it is reported together with other errors.
    @field_validator("latency_p99_ms")
    @classmethod
    def _in_order(cls, value: int | None, others: ValidationInfo) -> int | None:
        return _not_below("latency_p50_ms", value, others)


CARD_FIELDS = tuple(ModelCard.model_fields)
EMPTY_CARD: dict[str, Any] = dict.fromkeys(CARD_FIELDS)


def known(card: ModelCard) -> dict[str, Any]:
    """Return a card as JSON without unknown fields, at every level that we define."""
    return card.model_dump(mode="json", include=set(CARD_FIELDS), exclude_none=True)


def _not_below(least: str, value: N, others: ValidationInfo) -> N:
    floor = others.data.get(least)
    if value is not None and floor is not None and value < floor:
        message = f"must not be less than {least} ({floor:g})"
        raise ValueError(message)
    return value
