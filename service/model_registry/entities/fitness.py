"""Checks whether a model can be trained or served on given hardware. One rule for service and clients. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints

from model_registry.entities.base import Draft

Use = Literal["training", "inference"]

_UNFIT = {
    "deprecated": "is deprecated",
    "disabled": "is disabled",
    "maintenance": "is under maintenance",
}


def _as_text(value: Any) -> Any:  # noqa: ANN401 (any input)
    return str(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


class Hardware(Draft):
    """Available hardware. Missing values are not checked."""

    vram_gb: Annotated[float, Field(ge=0)] | None = Field(None, description="Memory of all GPUs together, GB.")
    gpus: Annotated[int, Field(ge=0)] | None = None
    ram_gb: Annotated[float, Field(ge=0)] | None = Field(None, description="Memory of the machine, GB.")
    cuda_compute_capability: (
        Annotated[str, BeforeValidator(_as_text), StringConstraints(pattern=r"^\d{1,2}\.\d$")] | None
    ) = Field(None, examples=["8.6"])


class FitnessResult(BaseModel):
    """Whether a model fits, with all errors and warnings."""

    is_valid: bool
    error_message: str | None = Field(description="All errors in one line; null when there are none.")
    errors: list[str]
    warnings: list[str] = Field(description="Notes that do not prevent use.")


def check_fitness(
    model: Mapping[str, Any], use: Use, hardware: Hardware | None = None, *, served: bool = False
) -> FitnessResult:
    """Check a model in the document's format (`entities/document.py`).

    Args:
        model: an entry of `models`.
        use: the intended use.
        hardware: the available hardware.
        served: whether a server already serves it. Then inference needs no tag.
    """
    errors = [*_against(model, use, served=served), *_short(model.get("requirements") or {}, hardware or Hardware())]
    warnings = list(_worth_knowing(model, hardware or Hardware()))
    return _result(errors, warnings)


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


def _short(needs: Mapping[str, Any], hardware: Hardware) -> Iterator[str]:
    for what, least, there in (
        ("GB of GPU memory", needs.get("min_vram_gb"), hardware.vram_gb),
        ("GB of memory", needs.get("min_ram_gb"), hardware.ram_gb),
        ("GPUs", needs.get("min_gpus"), hardware.gpus),
    ):
        if least is not None and there is not None and there < least:
            yield f"It needs {least:g} {what}, and there are {there:g}"
    oldest, cuda = needs.get("cuda_compute_capability"), hardware.cuda_compute_capability
    if oldest is not None and cuda is not None and _numbers(cuda) < _numbers(oldest):
        yield f"It needs CUDA compute capability {oldest}, and there is {cuda}"


def _worth_knowing(model: Mapping[str, Any], hardware: Hardware) -> Iterator[str]:
    if model["status"] == "experimental":
        yield f"The model {model['id']!r} is experimental"
    needs = model.get("requirements") or {}
    enough, least, there = needs.get("recommended_vram_gb"), needs.get("min_vram_gb") or 0, hardware.vram_gb
    if enough is not None and there is not None and least <= there < enough:
        yield f"{enough:g} GB of GPU memory are recommended, and there are {there:g}"


def _numbers(version: str) -> tuple[int, ...]:
    """Parse a version for comparison: as text, 10.0 would be less than 9.0."""
    return tuple(int(part) for part in version.split("."))
