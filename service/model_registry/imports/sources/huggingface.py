"""Reads Hugging Face's facts of a model: its `config.json`, and the Hub's API at `/api/models/{id}`.

Either is enough. Memory is estimated from the weights, and marked as an estimate.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from model_registry.entities.model import USUAL_CATEGORIES
from model_registry.entities.offer import Offer, PassedOver, SourceContent

SOURCE = "huggingface"

Document = Mapping[str, Any]

_CONTEXT = ("max_position_embeddings", "max_sequence_length", "n_positions", "seq_length", "max_seq_len")
_METHODS = {"awq": "awq", "gptq": "gptq", "fp8": "fp8", "fbgemm_fp8": "fp8", "mxfp4": "mxfp4", "nvfp4": "nvfp4"}
_METHOD_BITS = {"4bit": 4, "8bit": 8, "awq": 4, "gptq": 4, "fp8": 8, "mxfp4": 4, "nvfp4": 4, "int4": 4, "int8": 8}
_DTYPE_BITS = {"float32": 32, "float16": 16, "bfloat16": 16, "float8_e4m3fn": 8}
_DTYPES = ("float16", "bfloat16", "float32")
_TYPES = {
    "feature-extraction": "embedding",
    "sentence-similarity": "embedding",
    "text-ranking": "reranker",
    "text-to-speech": "tts",
    "automatic-speech-recognition": "audio",
    "text-to-image": "image",
    "image-to-image": "image",
    "image-text-to-text": "vl",
}
"""The Hub's tasks -> our model types. All others are chat models."""


def read_huggingface(model_id: str, config: Document, info: Document, provider: str | None) -> SourceContent:
    """Make the offer of one model, for one provider by name or for every provider that has it."""
    if not config and not info:
        return SourceContent((), (PassedOver(model_id, "config.json and the Hub's answer are both empty"),))
    offer = Offer(
        provider=provider, model_id=model_id, fields=_facts(model_id, config, info), estimated=["requirements"]
    )
    return SourceContent((offer,))


def _facts(model_id: str, config: Document, info: Document) -> dict[str, Any]:
    # Vision models have the facts about text under a key of their own.
    text = {**config, **_object(config, "text_config")}
    task = _text(info, "pipeline_tag")
    model_type = _TYPES.get(task or "", "chat")
    quantization = _quantization(config, info)
    weights = _object(info, "safetensors")
    # Packed weights have fewer numbers than the model has parameters.
    total = None if quantization else _number(weights, "total")
    count = total or _number(_object(info, "gguf"), "total") or parameters_in(model_id) or _number(weights, "total")
    memory = needed_gb(_weights_bytes(count, config, quantization, _object(weights, "parameters")))
    dtype = _dtype(text)
    library = _text(info, "library_name")
    fields = {
        "model_type": model_type if task else None,
        "category": USUAL_CATEGORIES[model_type] if task else None,
        "task_types": [task] if task else None,
        "base_architecture": _text(text, "model_type") or _text(_object(info, "gguf"), "architecture"),
        "parameters": parameters_text(count) if count else None,
        "context_length": _context_length(text) or _number(_object(info, "gguf"), "context_length"),
        "quantization": quantization,
        "requirements": None if memory is None else {"min_vram_gb": memory},
        "inference_defaults": {"dtype": dtype} if dtype in _DTYPES else None,
        "framework": library,
        "license": _license(info),
        "urls": {"huggingface": f"https://huggingface.co/{model_id}"} if "/" in model_id else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _weights_bytes(count: float | None, config: Document, quantization: Document | None, numbers: Document) -> float:
    """Return the size of the weights: as stored, else parameters times the bytes of one."""
    if (stored := stored_bytes(numbers)) is not None:
        return stored
    if quantization is None:
        bits = _DTYPE_BITS.get(_dtype(config) or "", 16)
    else:
        bits = _METHOD_BITS.get(quantization.get("method", ""), 0)
    return count * bits / 8 if count and bits else 0.0


def _context_length(config: Document) -> float | None:
    return next((number for key in _CONTEXT if (number := _number(config, key))), None)


def _quantization(config: Document, info: Document) -> dict[str, str] | None:
    section = _object(config, "quantization_config") or _object(_object(info, "config"), "quantization_config")
    method = _text(section, "quant_method")
    if not section:
        return {"method": "gguf"} if _object(info, "gguf") else None
    if method == "bitsandbytes" or "load_in_4bit" in section or "load_in_8bit" in section:
        bits = "4bit" if section.get("load_in_4bit") is True or section.get("_load_in_4bit") is True else "8bit"
        return {"method": bits, "type": "bitsandbytes"}
    known = _METHODS.get(method or "")
    return ({"method": known} if known else {}) | ({"type": method} if method else {}) or None


def _license(info: Document) -> str | None:
    declared = _text(_object(info, "cardData"), "license")
    tags = info.get("tags")
    tagged = (t for t in tags if isinstance(t, str)) if isinstance(tags, list) else ()
    return declared or next((tag.removeprefix("license:") for tag in tagged if tag.startswith("license:")), None)


def _dtype(config: Document) -> str | None:
    return _text(config, "dtype") or _text(config, "torch_dtype")


def _object(of: Document, key: str) -> dict[str, Any]:
    value = of.get(key)
    return dict(value) if isinstance(value, Mapping) else {}


def _text(of: Document, key: str) -> str | None:
    value = of.get(key)
    return value if isinstance(value, str) and value else None


def _number(of: Document, key: str) -> float | None:
    value = of.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


BYTES = {
    "F64": 8.0,
    "F32": 4.0,
    "F16": 2.0,
    "BF16": 2.0,
    "I64": 8.0,
    "I32": 4.0,
    "I16": 2.0,
    "I8": 1.0,
    "U8": 1.0,
    "BOOL": 1.0,
    "F8_E4M3": 1.0,
    "F8_E5M2": 1.0,
    "F8_E8M0": 1.0,
    "F4": 0.5,
}
"""Bytes of one number, by the names of the safetensors format."""

_ROOM = 1.2
"""Factor for buffers and the cache of a short conversation. Long contexts need more."""

_SIZE = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)([BM])(?![A-Za-z0-9])", re.IGNORECASE)
_SCALE = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


def needed_gb(weights_bytes: float) -> float | None:
    """Return the GPU memory to run these weights, in GB (10^9 bytes), rounded up to a tenth; None for no weights."""
    return math.ceil(weights_bytes * _ROOM / 1e8) / 10 if 0 < weights_bytes < math.inf else None


def stored_bytes(numbers: Mapping[str, object]) -> float | None:
    """Return the size of weights from the count of numbers of each type; None where a type is unknown."""
    total = 0.0
    for dtype, count in numbers.items():
        if dtype not in BYTES or not isinstance(count, int):
            return None
        total += BYTES[dtype] * count
    return total or None


def parameters_text(count: float) -> str | None:
    """Abbreviate a number of parameters: 8190735360 is 8.2B; None for less than 1000."""
    for unit, scale in reversed(_SCALE.items()):
        if count >= scale:
            return f"{count / scale:.1f}".removesuffix(".0") + unit
    return None


def parameters_in(name: str) -> float | None:
    """Read the number of parameters from a model's name: Qwen3-30B-A3B has 30 billion."""
    match = _SIZE.search(name)
    return float(match[1]) * _SCALE[match[2].upper()] if match else None
