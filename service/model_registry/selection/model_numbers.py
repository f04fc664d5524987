"""The table of models' numbers, for sorting lists, statistics and comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from model_registry.entities.gpu_memory import needed_vram_gb, number, parameter_count
from model_registry.entities.model import Model
from model_registry.entities.model_card import QualityScores
from model_registry.entities.spelling import question
from model_registry.errors import Invalid, Reason

Read = Callable[[Model], float]

NEEDED_VRAM = "needed_vram_gb"
"""A number that is not in the view: the larger of `requirements.min_vram_gb` and `vram_mb`, in GB."""


@dataclass(frozen=True, slots=True)
class Number:
    """One number of a model, under its name in the model's view."""

    name: str
    unit: str
    better: Literal["low", "high"] | None = None
    """Which values are better, if either."""


# A table: its rows are alike.
NUMBERS: dict[str, Number] = {
    number.name: number
    for number in (
        Number("context_window", "tokens", "high"),
        Number("max_output_tokens", "tokens", "high"),
        Number("cost_per_1m_input_tokens", "US dollars", "low"),
        Number("cost_per_1m_output_tokens", "US dollars", "low"),
        Number("cost_per_1m_cached_input_tokens", "US dollars", "low"),
        Number("rate_limit_rpm", "requests a minute", "high"),
        Number("rate_limit_tpm", "tokens a minute", "high"),
        Number("latency_p50_ms", "milliseconds", "low"),
        Number("latency_p99_ms", "milliseconds", "low"),
        *(Number(f"quality_scores.{score}", "0 to 1", "high") for score in QualityScores.model_fields),
        Number("parameters", "parameters"),
        Number("vram_mb", "MiB", "low"),
        Number("requirements.min_vram_gb", "GB", "low"),
        Number("requirements.recommended_vram_gb", "GB", "low"),
        Number("requirements.min_ram_gb", "GB", "low"),
        Number("requirements.min_gpus", "GPUs", "low"),
        Number("inference_defaults.max_model_len", "tokens"),
        Number("inference_defaults.gpu_memory_utilization", "0 to 1"),
        Number("inference_defaults.tensor_parallel_size", "GPUs"),
        Number("routing_priority", "lower is tried first"),
        Number("version", "times the row was written"),
    )
}
"""Every number of a model's view, except the scores of `benchmarks`, whose names are free."""

BENCHMARKS = "benchmarks."
_SAME = {"context_length": "context_window"}
_COLUMNS = {"context_window": "context_length"} | {
    column: column for column in ("vram_mb", "routing_priority", "version")
}

SORTABLE = (
    f"One of {', '.join((*NUMBERS, *_SAME))}, or `benchmarks.NAME`. With `-` in front the largest come first. Models "
    "whose number is unknown come last in both orders; equal ones keep the list's order."
)


def reader(name: str) -> Read:
    """Return a function that reads this number of a model; `UNKNOWN` where unknown."""
    if name == NEEDED_VRAM:
        return lambda model: needed_vram_gb(model.card.get("requirements"), model.vram_mb)
    if name in _COLUMNS:
        column = _COLUMNS[name]
        return lambda model: number(getattr(model, column))
    if name == "parameters":
        return lambda model: parameter_count(model.card.get("parameters"))
    if name.startswith(BENCHMARKS):
        benchmark = name.removeprefix(BENCHMARKS)
        return lambda model: number(_within(_within(model.card.get("benchmarks"), benchmark), "score"))
    field, _, part = name.partition(".")
    if part:
        return lambda model: number(_within(model.card.get(field), part))
    return lambda model: number(model.card.get(field))


def sorting(sort: str, benchmarks: Iterable[str]) -> tuple[str, bool]:
    """Parse a sort key: the number, and whether the largest come first. Errors: Invalid."""
    key = sort.removeprefix("-")
    name = _SAME.get(key, key)
    allowed = [*NUMBERS, *_SAME, *sorted(f"{BENCHMARKS}{benchmark}" for benchmark in benchmarks)]
    if name not in allowed:
        message = (
            f"Unknown sort key {sort!r}.{question(key, allowed)} Allowed, with an optional '-' for descending: "
            f"{', '.join(allowed)}."
        )
        raise Invalid(message, reasons=[Reason("sort", message)], allowed=allowed)
    return name, sort.startswith("-")


def _within(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, dict) else None
