"""Reads Hugging Face's facts of a model: its `config.json`, and the Hub's API at `/api/models/{id}`.

Either is enough. Memory is estimated from the weights, and marked as an estimate. What the repository states in
contradiction to itself is left out, with the reason.
"""

from __future__ import annotations

from typing import Any

from model_registry.entities.base import MAX_INT32
from model_registry.entities.model import USUAL_CATEGORIES
from model_registry.entities.offer import Offer, PassedOver, SourceContent
from model_registry.imports.sources.items import make_offer
from model_registry.imports.sources.model_config import (
    Document,
    context_length,
    number_in,
    object_in,
    text_config,
    text_in,
)
from model_registry.imports.sources.model_size import needed_gb, parameters_in, parameters_text
from model_registry.imports.sources.quantization import quantization_of
from model_registry.imports.sources.stored_numbers import stored_bytes
from model_registry.imports.sources.weights import dtype_of, weights_of

__all__ = ["SOURCE", "needed_gb", "parameters_in", "parameters_text", "read_huggingface", "stored_bytes"]

SOURCE = "huggingface"

_DTYPES = ("float16", "bfloat16", "float32")
_OTHER = (
    *("image-classification", "object-detection", "image-segmentation", "mask-generation"),
    *("keypoint-detection", "depth-estimation", "image-feature-extraction", "zero-shot-image-classification"),
    *("video-classification", "zero-shot-object-detection", "audio-classification", "text-classification"),
    *("token-classification", "zero-shot-classification", "fill-mask", "time-series-forecasting"),
    *("tabular-classification", "tabular-regression"),
)
"""The Hub's tasks that gateways have no interface for."""
_TYPES = {
    "feature-extraction": "embedding",
    "sentence-similarity": "embedding",
    "text-ranking": "reranker",
    "text-to-speech": "tts",
    "automatic-speech-recognition": "audio",
    "text-to-image": "image",
    "image-to-image": "image",
    "image-text-to-text": "vl",
    **dict.fromkeys(_OTHER, "other"),
}
"""The Hub's tasks -> our model types. All others are chat models."""


def read_huggingface(model_id: str, config: Document, info: Document, provider: str | None) -> SourceContent:
    """Make the offer of one model, for one provider by name or for every provider that has it.

    A GGUF repository has files of several types: the name may end in the type, as in `owner/repository:Q4_K_M`.
    """
    if not config and not info:
        return SourceContent((), (PassedOver(model_id, "config.json and the Hub's answer are both empty"),))
    return make_offer(model_id, lambda: _offer(model_id, config, info, provider))


def _offer(model_id: str, config: Document, info: Document, provider: str | None) -> Offer:
    fields, left_out = _facts(model_id, config, info)
    return Offer(provider=provider, model_id=model_id, fields=fields, estimated=["requirements"], left_out=left_out)


def _facts(model_id: str, config: Document, info: Document) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the facts, and why others are left out."""
    text, gguf = text_config(config), object_in(info, "gguf")
    task = text_in(info, "pipeline_tag")
    model_type = _TYPES.get(task or "", "chat")
    quantization, weights = quantization_of(model_id, config, info), weights_of(model_id, config, info)
    left_out = dict(weights.reasons)
    memory = needed_gb(weights.bytes) if weights.bytes else None
    context = context_length(text) or round(number_in(gguf, "context_length") or 0) or None
    if context is not None and context > MAX_INT32:
        context, left_out["context_length"] = None, f"{context} tokens cannot be meant"
    dtype = dtype_of(text)
    repository = model_id.partition(":")[0]
    fields = {
        "model_type": model_type if task else None,
        "category": USUAL_CATEGORIES.get(model_type) if task else None,
        "task_types": [task] if task else None,
        "base_architecture": text_in(text, "model_type") or text_in(gguf, "architecture"),
        "parameters": parameters_text(weights.parameters) if weights.parameters else None,
        "context_length": context,
        "quantization": quantization.fact if quantization else None,
        "requirements": None if memory is None else {"min_vram_gb": memory},
        "inference_defaults": {"dtype": dtype} if dtype in _DTYPES else None,
        "framework": text_in(info, "library_name"),
        "license": _license(info),
        "urls": {"huggingface": f"https://huggingface.co/{repository}"} if "/" in model_id else None,
    }
    return {name: value for name, value in fields.items() if value is not None}, left_out


def _license(info: Document) -> str | None:
    declared = text_in(object_in(info, "cardData"), "license")
    tags = info.get("tags")
    tagged = (t for t in tags if isinstance(t, str)) if isinstance(tags, list) else ()
    return declared or next((tag.removeprefix("license:") for tag in tagged if tag.startswith("license:")), None)
