"""Checks whether a model can be trained or served on given hardware. One rule for service and clients. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints

from model_registry.entities.base import Draft
from model_registry.entities.gpu_memory import (
    Method,
    TrainingSettings,
    needed_vram_gb,
    number,
    parameter_count,
    training_gb,
)
from model_registry.entities.gpus import GpuName, gpu_memory_gb, gpus_named
from model_registry.entities.numbers import StrictNumbers
from model_registry.entities.offer import ESTIMATE
from model_registry.entities.weight_bits import gguf_type

Use = Literal["training", "inference"]

_UNFIT = {
    "deprecated": "is deprecated",
    "disabled": "is disabled",
    "maintenance": "is under maintenance",
}


def _as_text(value: Any) -> Any:  # noqa: ANN401 (any input)
    return str(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


class Hardware(Draft, StrictNumbers):
    """Available hardware. Missing values are not checked."""

    vram_gb: Annotated[float, Field(ge=0)] | None = Field(None, description="Memory of all GPUs together, GB.")
    gpu: GpuName | None = Field(
        None,
        description="The GPUs' name, instead of `vram_gb` and `cuda_compute_capability`: docs/reference/gpus.md.",
        examples=["RTX 4090"],
    )
    gpus: Annotated[int, Field(ge=0)] | None = Field(None, description="How many; by default one if `gpu` is given.")
    ram_gb: Annotated[float, Field(ge=0)] | None = Field(None, description="Memory of the machine, GB.")
    cuda_compute_capability: (
        Annotated[str, BeforeValidator(_as_text), StringConstraints(pattern=r"^\d{1,2}\.\d$")] | None
    ) = Field(None, examples=["8.6"])

    @property
    def count(self) -> int | None:
        """The number of GPUs."""
        return 1 if self.gpus is None and self.gpu else self.gpus

    @property
    def memory_gb(self) -> float | None:
        """The memory of all GPUs together, as given or by the GPU's name."""
        return gpu_memory_gb(self.gpu, self.count or 0) if self.vram_gb is None and self.gpu else self.vram_gb

    @property
    def capability(self) -> str | None:
        """The CUDA compute capability, as given or by the GPU's name."""
        return self.cuda_compute_capability or (gpus_named(self.gpu)[0].capability if self.gpu else None)


class FitnessResult(BaseModel):
    """Whether a model fits, with all errors and warnings."""

    is_valid: bool
    error_message: str | None = Field(description="All errors in one line; null when there are none.")
    errors: list[str]
    warnings: list[str] = Field(description="Notes that do not prevent use.")


def check_fitness(
    model: Mapping[str, Any],
    use: Use,
    hardware: Hardware | None = None,
    *,
    served: bool = False,
    training: TrainingSettings | None = None,
) -> FitnessResult:
    """Check a model in the document's format (`entities/document.py`).

    Args:
        model: an entry of `models`.
        use: the intended use.
        hardware: the available hardware.
        served: whether a server already serves it. Then inference needs no tag.
        training: how it is to be trained.
    """
    hardware, training = hardware or Hardware(), training or TrainingSettings()
    errors, warnings = list(_against(model, use, served=served)), list(_worth_knowing(model, hardware))
    if use == "training":
        errors += _untrainable(model, training.method)
    short, unsure = _memory(model, use, hardware, training)
    errors += [*short, *shortages(model.get("requirements"), hardware)]
    return _result(errors, warnings + unsure)


def unknown_model(message: str) -> FitnessResult:
    """Return the result for a model that is not in the catalogue."""
    return _result([message], [])


def _result(errors: list[str], warnings: list[str]) -> FitnessResult:
    return FitnessResult(is_valid=not errors, error_message="; ".join(errors) or None, errors=errors, warnings=warnings)


def _against(model: Mapping[str, Any], use: Use, *, served: bool) -> Iterator[str]:
    name, status = model["id"], model["status"]
    if status in _UNFIT:
        heir = model.get("replaced_by")
        yield f"The model {name!r} {_UNFIT[status]}" + (f": use {heir!r} instead" if heir else "")
    if model.get("active") is False:
        yield f"The model {name!r} is switched off"
    if not model["capabilities"][use] and not (served and use == "inference"):
        yield f"The model {name!r} does not support {use}"


_VERSION = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3})?")
_FIXED = frozenset({"4bit", "8bit", "awq", "gptq", "int4", "int8", "nvfp4"})
"""Methods of quantization whose weights full training cannot change."""


def _untrainable(model: Mapping[str, Any], method: Method | None) -> Iterator[str]:
    """Explain why training cannot change weights of this format."""
    quantization = _part(model, "quantization")
    kind = quantization.get("method")
    if kind == "gguf" or _is_gguf(model, str(quantization.get("type") or "")):
        yield (
            f"The model {model['id']!r} is in GGUF, a format for inference alone: train the weights that it was made "
            "of, and convert the result"
        )
    elif method == "full" and kind in _FIXED:
        yield (
            f"Its weights are quantised ({kind}), which full training cannot change: use the method lora or qlora, or "
            "the weights before quantisation"
        )


def _is_gguf(model: Mapping[str, Any], kind: str) -> bool:
    names = [str(model.get(field) or "").lower() for field in ("id", "model_id", "framework")]
    # Ollama's names end in the type: `llama3.1:8b-instruct-q4_K_M`.
    return any("gguf" in name for name in names) or any(_is_gguf_alone(text) for text in (kind, *names[:2]))


def _is_gguf_alone(text: str) -> bool:
    """Whether a text has a type of GGUF's own: floating-point types have the same names elsewhere."""
    kind = gguf_type(text)
    return kind is not None and not kind.startswith(("F16", "BF16", "F32", "MXFP4"))


def _memory(
    model: Mapping[str, Any], use: Use, hardware: Hardware, training: TrainingSettings
) -> tuple[list[str], list[str]]:
    """Compare the GPU memory that is needed with what is there: errors, and what is not certain."""
    there, needed = hardware.memory_gb, needed_vram_gb(model.get("requirements"), model.get("vram_mb"))
    is_known, count = needed == needed, parameter_count(model.get("parameters"))  # noqa: PLR0124 (NaN: unknown)
    if use == "training" and count == count and (training.method or not _states_training(model)):  # noqa: PLR0124 (the same)
        return _training_memory(model, there, training)
    warnings = []
    if use == "training" and training.method:
        warnings.append("Its number of parameters is not known, so the memory for training it is not estimated")
    if there is None:
        return [], warnings
    if not is_known:
        size = f"; it has {model['parameters']} parameters" if count == count else ""  # noqa: PLR0124 (the same)
        return [], [*warnings, f"Nothing is known of its memory, so whether it fits is not checked{size}"]
    errors = [f"It needs {needed:.4g} GB of GPU memory, and there are {there:g}"] if there < needed else []
    return errors, warnings


def _states_training(model: Mapping[str, Any]) -> bool:
    """Whether the stated memory is meant for training too: importers estimate it for inference."""
    stated = number(_part(model, "requirements").get("min_vram_gb"))
    source = _part(model, "field_sources").get("requirements")
    return stated == stated and not str(source or "").endswith(ESTIMATE)  # noqa: PLR0124 (NaN: unknown)


def _training_memory(
    model: Mapping[str, Any], there: float | None, training: TrainingSettings
) -> tuple[list[str], list[str]]:
    """Compare the estimate of the method, or of the one that needs least."""
    method = training.method or "qlora"
    needed = training_gb(model, training, method)
    how = f"{training.sequence_length} tokens, batches of {training.batch_size}, {training.optimizer}"
    text = f"Training by the method {method} needs about {needed:g} GB of GPU memory ({how})"
    if there is not None and there < needed:
        return [f"{text}, and there are {there:g}"], []
    if training.method:
        return [], [text]
    is_fixed = _part(model, "quantization").get("method") in _FIXED
    others: tuple[Method, ...] = ("lora",) if is_fixed else ("lora", "full")
    sizes = ((other, training_gb(model, training, other)) for other in others)
    return [], [
        f"Training by the method {other} needs about {size:g} GB of GPU memory ({how}), and there are {there:g}"
        for other, size in sizes
        if there is not None and there < size
    ]


def shortages(requirements: object, hardware: Hardware) -> Iterator[str]:
    """Explain what beside GPU memory is less than the requirements of a model. Values that mean nothing are none."""
    needs = requirements if isinstance(requirements, Mapping) else {}
    for what, least, there in (
        ("GB of memory", number(needs.get("min_ram_gb")), hardware.ram_gb),
        ("GPUs", number(needs.get("min_gpus")), hardware.count),
    ):
        if there is not None and there < least:
            yield f"It needs {least:g} {what}, and there are {there:g}"
    oldest, cuda = needs.get("cuda_compute_capability"), hardware.capability
    if cuda is not None and _numbers(cuda) < _numbers(str(oldest)):
        yield f"It needs CUDA compute capability {oldest}, and there is {cuda}"


def _worth_knowing(model: Mapping[str, Any], hardware: Hardware) -> Iterator[str]:
    if model["status"] == "experimental":
        yield f"The model {model['id']!r} is experimental"
    needs, there = _part(model, "requirements"), hardware.memory_gb
    enough, least = number(needs.get("recommended_vram_gb")), number(needs.get("min_vram_gb") or 0)
    if there is not None and least <= there < enough:
        yield f"{enough:g} GB of GPU memory are recommended, and there are {there:g}"
    if needs.get("cuda_compute_capability") is not None and hardware.gpu and hardware.capability is None:
        yield f"It needs CUDA compute capability {needs['cuda_compute_capability']}; {hardware.gpu} has no CUDA"


def _part(model: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """Return an object of the model; empty if there is none."""
    value = model.get(field)
    return value if isinstance(value, Mapping) else {}


def _numbers(version: str) -> tuple[int, ...]:
    """Parse a version for comparison: as text, 10.0 would be less than 9.0. Nothing, if it is none."""
    return tuple(map(int, version.split("."))) if _VERSION.fullmatch(version) else ()
