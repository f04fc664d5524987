"""The GPU memory that a model needs: the one rule for selection, validation and clients.

As stated: the larger of `requirements.min_vram_gb` and `vram_mb`. For training by a given method: estimated from the
number of parameters. Formula, sources and limits: docs/how-to/model-garden.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from model_registry.entities.base import Draft
from model_registry.entities.numbers import StrictNumbers
from model_registry.entities.weight_bits import METHOD_BITS

UNKNOWN = math.nan
"""An unknown number where all must be floats: every comparison with NaN is false."""

_GB_PER_MIB = 2**20 / 1e9
_FACTORS = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_LARGEST = 1e300
"""The largest usable number. Larger ones were written in SQL, and would overflow."""


def number(value: object) -> float:
    """Return a finite number, else `UNKNOWN`: rows written in SQL may hold any JSON."""
    if isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST:
        return float(value)
    return UNKNOWN


def parameter_count(written: object) -> float:
    """Parse a number of parameters such as "1.1B"."""
    if not isinstance(written, str) or written[-1:] not in _FACTORS:
        return UNKNOWN
    try:
        return float(round(float(written[:-1]) * _FACTORS[written[-1]]))
    except (ValueError, OverflowError):
        return UNKNOWN


def needed_vram_gb(requirements: object, vram_mb: object) -> float:
    """Return the GPU memory that a model needs, in GB (10^9 bytes): the larger figure, or `UNKNOWN` for neither."""
    stated = number(requirements.get("min_vram_gb")) if isinstance(requirements, Mapping) else UNKNOWN
    loaded = number(vram_mb) * _GB_PER_MIB
    return max((n for n in (stated, loaded) if n == n), default=UNKNOWN)  # noqa: PLR0124 (NaN: unknown)


Method = Literal["full", "lora", "qlora"]
Optimizer = Literal["adamw", "adamw_8bit", "adafactor", "sgd"]

_OPTIMIZER_BYTES: dict[Optimizer, int] = {"adamw": 12, "adamw_8bit": 6, "adafactor": 4, "sgd": 4}
"""Bytes an optimizer keeps for each trained parameter, with the 32-bit copy of it (4 bytes).

AdamW: two moments of 4 bytes (ZeRO, arXiv:1910.02054, section 3.1); with 8 bits, of 1 byte (arXiv:2110.02861).
"""

_WEIGHT = 2.0
_GRADIENT = 2.0
"""Bytes, 16 bits (ZeRO, section 3.1)."""
_NF4 = (4 + 0.127) / 8
"""Bytes of a weight in NF4 with double quantization (QLoRA, arXiv:2305.14314, section 3)."""
_VOCABULARY = 128_000
_LOGIT = 8
"""Bytes of a logit and its gradient, 32 bits each."""
_LAYER_INPUT, _ONE_LAYER = 2, 34
"""Bytes of activations for a token and a unit of width: a layer's input, which is kept, and one layer in full, which is
computed again (arXiv:2205.05198, sections 4.1 and 5; attention without its quadratic part, as in FlashAttention)."""
_RATIO = 128
"""Width divided by depth of a usual language model, whose parameters are 12 x depth x width^2 (arXiv:2001.08361)."""
_ADAPTED = 22
"""A layer's matrices have 22 x width rows and columns; an adapter of rank r has r for each (arXiv:2106.09685)."""
_CONTEXT_BYTES = 1.3e9
"""The CUDA context and its kernels (Hugging Face, "Model training anatomy")."""


class TrainingSettings(Draft, StrictNumbers):
    """How a model is to be trained. What is not given has the usual value."""

    method: Method | None = Field(None, description="`full`, `lora` (16-bit weights) or `qlora` (4-bit weights).")
    sequence_length: Annotated[int, Field(ge=1, le=10_000_000)] = Field(2048, description="Tokens of one example.")
    batch_size: Annotated[int, Field(ge=1, le=100_000)] = Field(
        1, description="Examples at once, on all GPUs together."
    )
    optimizer: Optimizer = "adamw"
    lora_rank: Annotated[int, Field(ge=1, le=4096)] | None = Field(
        None, description="Default: `r` of the model's `lora_config`, else 16."
    )


def training_gb(model: Mapping[str, Any], settings: TrainingSettings, method: Method) -> float:
    """Estimate the GPU memory to train a model, in GB, rounded up to a tenth; `UNKNOWN` without its parameters."""
    count = parameter_count(model.get("parameters"))
    if count != count:  # noqa: PLR0124 (NaN: unknown)
        return UNKNOWN
    depth: float = (count / (12 * _RATIO**2)) ** (1 / 3)
    width = depth * _RATIO
    trained = count if method == "full" else depth * width * _ADAPTED * _rank(model, settings)
    base = 0.0 if method == "full" else count * _base_bytes(model, method)
    states = trained * (_WEIGHT + _GRADIENT + _OPTIMIZER_BYTES[settings.optimizer])
    tokens = settings.sequence_length * settings.batch_size
    activations = tokens * width * (_LAYER_INPUT * depth + _ONE_LAYER) + tokens * _VOCABULARY * _LOGIT
    return math.ceil((base + states + activations + _CONTEXT_BYTES) / 1e8) / 10


def _rank(model: Mapping[str, Any], settings: TrainingSettings) -> float:
    if settings.lora_rank is not None:
        return settings.lora_rank
    defaults = model.get("training_defaults")
    config = defaults.get("lora_config") if isinstance(defaults, Mapping) else None
    rank = number(config.get("r")) if isinstance(config, Mapping) else UNKNOWN
    return rank if rank > 0 else 16


def _base_bytes(model: Mapping[str, Any], method: Method) -> float:
    """Return the bytes of a weight that is not trained. Quantized weights stay as they are, but for FP4 of experts."""
    quantization = model.get("quantization")
    kind = quantization.get("method") if isinstance(quantization, Mapping) else None
    bits = 16 if kind in ("mxfp4", "nvfp4", None) else METHOD_BITS.get(str(kind), 16)
    return _NF4 if method == "qlora" or bits == 4 else bits / 8  # noqa: PLR2004 (four bits)
