"""How many bits a quantized weight takes: one table for importers and for estimates of memory."""

from __future__ import annotations

import re

METHOD_BITS = {"4bit": 4, "8bit": 8, "awq": 4, "gptq": 4, "fp8": 8, "mxfp4": 4, "nvfp4": 4, "int4": 4, "int8": 8}
"""Method of quantization (`ModelCard.quantization.method`) -> bits. `gguf` depends on the file's type."""

GGUF_BITS = {
    "IQ1_S": 2.0,
    "IQ1_M": 2.15,
    "IQ2_XXS": 2.38,
    "IQ2_XS": 2.59,
    "IQ2_S": 2.74,
    "IQ2_M": 2.93,
    "IQ3_XXS": 3.25,
    "IQ3_XS": 3.5,
    "IQ3_S": 3.66,
    "IQ3_M": 3.76,
    "IQ4_XS": 4.46,
    "IQ4_NL": 4.68,
    "Q2_K_S": 2.97,
    "Q2_K": 3.16,
    "Q3_K_S": 3.64,
    "Q3_K_M": 4.0,
    "Q3_K_L": 4.3,
    "Q4_0": 4.66,
    "Q4_1": 5.12,
    "Q4_K_S": 4.67,
    "Q4_K_M": 4.89,
    "Q5_0": 5.57,
    "Q5_1": 6.03,
    "Q5_K_S": 5.57,
    "Q5_K_M": 5.7,
    "Q6_K": 6.56,
    "Q8_0": 8.5,
    "F16": 16.0,
    "BF16": 16.0,
    "F32": 32.0,
}
"""Type of a GGUF file -> bits of one weight, all tensors taken together.

Measured on Llama 3.1 8B; source: the table in llama.cpp's `tools/quantize/README.md`.
"""

_GGUF_TYPE = re.compile(
    r"(?<![A-Za-z0-9])((?:UD-)?(?:I?Q\d(?:_[A-Z0-9]+)+|TQ\d_\d|BF16|F16|F32|MXFP4(?:_MOE)?))(?![A-Za-z0-9_])",
    re.IGNORECASE,
)


def gguf_type(name: str) -> str | None:
    """Read the type of a GGUF file from its name or from a model's quantization: Q4_K_M, UD-IQ2_M, BF16."""
    match = _GGUF_TYPE.search(name)
    return match[1].upper() if match else None


def gguf_bits(kind: str) -> float | None:
    """Return the bits of one weight in a file of this type. Unsloth's dynamic types (UD-) are close to the plain."""
    return GGUF_BITS.get(kind.upper().removeprefix("UD-"))
