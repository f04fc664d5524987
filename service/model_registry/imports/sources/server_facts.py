"""Reads what an OpenAI-compatible server says of a model in `/v1/models`: its type, limits and prices. Pure.

The interface itself has only names. LiteLLM's proxy says `mode`; Together, LM Studio and others `type`; Xinference
`model_type` and `model_ability`; OpenRouter `architecture` and `pricing`; Mistral `capabilities`. A name decides only
where the server says nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from model_registry.entities.base import MAX_INT32
from model_registry.imports.sources.litellm_rates import Rate, dollars, facts
from model_registry.imports.sources.model_config import as_object, object_in

Entry = Mapping[str, Any]

TYPES = {
    **dict.fromkeys(("chat", "llm", "language", "code", "text", "completion", "responses", "generate"), "chat"),
    **dict.fromkeys(("text-generation", "conversational"), "chat"),
    **dict.fromkeys(("vlm", "vl", "vision", "multimodal", "image-text-to-text"), "vl"),
    **dict.fromkeys(("embedding", "embeddings", "text-embedding", "feature-extraction"), "embedding"),
    **dict.fromkeys(("sentence-similarity", "embed"), "embedding"),
    **dict.fromkeys(("rerank", "reranker", "reranking", "text-ranking", "score"), "reranker"),
    **dict.fromkeys(("image", "images", "image_generation", "image_edit", "text-to-image", "text2image"), "image"),
    **dict.fromkeys(("tts", "audio_speech", "speech", "text-to-speech", "text2audio"), "tts"),
    **dict.fromkeys(("stt", "asr", "transcribe", "transcription", "audio_transcription", "audio2text"), "audio"),
    **dict.fromkeys(("automatic-speech-recognition", "realtime", "speech-to-text"), "audio"),
    **dict.fromkeys(("image-generation", "image-to-image", "image2image", "image-edit"), "image"),
}
"""A server's word -> our model type."""

_OTHERS = frozenset(
    {
        "text-to-video",
        "image-to-video",
        "moderation",
        "video",
        "video_generation",
        "text2video",
        "ocr",
        "search",
        "classification",
        "evaluation",
        "guardrail",
        "vector_store",
        "classify",
    }
)
"""Words for kinds of models that are not catalogued."""

_SAYS = ("mode", "type", "model_type", "task", "kind")
_TELLING = frozenset(
    {
        *_SAYS,
        *("model_ability", "capabilities", "architecture", "modality", "input_modalities", "output_modalities"),
    }
)
"""Keys in which a server may say the type."""
_AUDIO = "audio"

_NAMES = (
    (r"(^|[^a-z])(text-)?embed(ding)?s?(der)?([^a-z]|$)|embeddinggemma", "embedding"),
    (r"(^|[^a-z])rerank", "reranker"),
    (r"whisper|transcri", "audio"),
    (r"(^|[^a-z])tts([^a-z]|$)", "tts"),
    (r"dall-e|(^|[^a-z])image([^a-z]|$)|(^|[^a-z])flux([^a-z]|$)|stable-diffusion", "image"),
)
"""What a name usually means, where a server says nothing. All others are chat models."""
_HINTS = re.compile(r"embed|rerank|whisper|transcri|tts|dall-e|image|flux|stable-diffusion")
"""What is in every name that means something: most have none of it, and need not be compared with each."""

_CONTEXT = ("max_model_len", "context_length", "context_window", "max_context_length", "max_input_tokens")
_OUTPUT = ("max_completion_tokens", "max_output_tokens")


class NotCatalogued(ValueError):
    """What a server says is no kind of model that is catalogued."""


def model_type(model: Entry, model_id: str) -> str:
    """Find a model's type: what the server says, else what its name means. Errors: NotCatalogued."""
    name = model_id.lower()
    hinted = _HINTS.search(name) is not None
    by_name = next((kind for pattern, kind in _NAMES if re.search(pattern, name)), None) if hinted else None
    if _TELLING.isdisjoint(model):
        return by_name or "chat"
    for stated in _words(model):
        # Some write text_embedding or text embedding.
        word = stated if stated in TYPES or stated in _OTHERS else stated.replace("_", "-").replace(" ", "-")
        if word == _AUDIO:
            return by_name if by_name in {"audio", "tts"} else "tts"
        if word in TYPES:
            return TYPES[word]
        if word in _OTHERS:
            raise NotCatalogued(word)
    return by_name or _by_flags(model) or "chat"


def _words(model: Entry) -> Iterator[str]:
    """Yield the words in which the server says the type, the most exact first."""
    abilities = model.get("model_ability")
    yield from (
        (word.lower() for word in abilities if isinstance(word, str) and "2" in word)
        if isinstance(abilities, list)
        else ()
    )
    for key in _SAYS:
        value = model.get(key)
        # Text Embeddings Inference says `{"embedding": {"pooling": "cls"}}`.
        several = value if isinstance(value, list) else as_object(value)
        yield from (str(word).lower() for word in ([value] if isinstance(value, str) else several))
    if (kind := object_in(model, "capabilities").get("type")) and isinstance(kind, str):
        yield kind.lower()
    taken, made = _modalities(model, "input_modalities"), _modalities(model, "output_modalities")
    if "text" in made:
        # A chat model that draws or speaks too is a chat model.
        yield "audio2text" if taken == {_AUDIO} else "chat"
    yield from sorted("speech" if kind == _AUDIO else kind for kind in made)
    tags = model.get("capabilities")
    if isinstance(tags, list) and not {"completion", "chat"} & {str(tag) for tag in tags}:
        yield from (str(tag).lower() for tag in tags)


def _modalities(model: Entry, key: str) -> set[str]:
    about = object_in(model, "architecture")
    value = about.get(key) or model.get(key)
    if not value and isinstance(both := about.get("modality") or model.get("modality"), str) and "->" in both:
        # OpenRouter's older form: `text+image->text`.
        value = both.split("->")[key.startswith("output")].split("+")
    if isinstance(value, str):
        value = value.split(",")
    return {str(kind).strip().lower() for kind in value} if isinstance(value, list) else set()


def _by_flags(model: Entry) -> str | None:
    """Read Mistral's flags. Errors: NotCatalogued, where none of them is a type of ours."""
    flags = model.get("capabilities")
    if not isinstance(flags, Mapping) or flags.get("completion_chat") is not False or flags.get("completion_fim"):
        return None
    can = [str(name) for name, flag in flags.items() if flag is True]
    for word, kind in (("transcription", "audio"), ("embed", "embedding"), ("rerank", "reranker")):
        if any(word in name for name in can):
            return kind
    raise NotCatalogued(", ".join(can) or "does not chat")


def limits(model: Entry) -> dict[str, Any]:
    """Read the context and the longest output. 0 and negative numbers are none."""
    top = object_in(model, "top_provider")
    return {
        "context_length": _count(model, _CONTEXT),
        "max_output_tokens": _count(model, _OUTPUT) or _count(top, _OUTPUT),
    }


def _count(of: Entry, keys: tuple[str, ...]) -> object:
    for key in keys:
        value = of.get(key)
        if isinstance(value, str) and value.strip().isdecimal():
            value = int(value[:20])
        # NaN is no number below 0: it is named, as infinity is.
        if isinstance(value, int | float) and not isinstance(value, bool) and not value <= 0:
            return value
    return None


def no_limits(found: Mapping[str, Any]) -> dict[str, str]:
    """Say of each limit that a row cannot have why. NaN and infinity are left to who checks the whole offer."""
    return {
        name: f"the server states {value}: a whole number up to {MAX_INT32} is taken"
        for name, value in found.items()
        if value is not None and abs(value) < math.inf and (value > MAX_INT32 or value % 1)
    }


_BY_TOKEN = {
    "prompt": "input_tokens",
    "completion": "output_tokens",
    "input_cache_read": "cached_input_tokens",
    "input_cache_write": "cache_write_tokens",
    "internal_reasoning": "reasoning_tokens",
    "audio": "input_audio_tokens",
    "audio_output": "output_audio_tokens",
    "input_audio_cache": "cached_audio_tokens",
    "image_token": "input_image_tokens",
    "image_output": "output_image_tokens",
    "request": "requests",
    "image": "input_images",
    "web_search": "web_searches_medium",
}
"""OpenRouter's `pricing`: US dollars for one, as text."""

_BY_MILLION = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cached_input": "cached_input_tokens",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cached_input_tokens",
}
"""Together's `pricing` and DeepInfra's `metadata.pricing`: US dollars for a million."""

_LEAST_BY_MILLION = Decimal("0.001")
_MOST_BY_TOKEN = Decimal("0.001")
"""1,000 dollars for a million. Chutes has prices of a million under OpenRouter's names."""
_NOT_REQUESTS = frozenset({"hourly", "finetune", "discount"})


def prices(model: Entry, kind: str) -> dict[str, Any]:
    """Read the prices that a server says, as fields of a card. Errors: Unusable."""
    pricing = object_in(model, "pricing") or object_in(object_in(model, "metadata"), "pricing")
    found = []
    for key, value in pricing.items():
        price = dollars(value, f"pricing.{key}")
        if isinstance(value, Mapping | list) and value:
            # Prices by length or term, in a form of the server's own.
            found.append(Rate("other", Decimal(0), name=key[:200]))
        if price is None or key in _NOT_REQUESTS:
            continue
        if key in _BY_TOKEN:
            unit = "output_images" if key == "image" and kind == "image" else _BY_TOKEN[key]
            if unit.endswith("_tokens") and price > _MOST_BY_TOKEN:
                continue
            if price or not unit.startswith(("requests", "input_images", "web")):
                found.append(Rate(unit, price))
        elif key in _BY_MILLION and (not price or price >= _LEAST_BY_MILLION):
            # Below, it may be meant for one token.
            found.append(Rate(_BY_MILLION[key], price / 1_000_000))
        elif price:
            found.append(Rate("other", price, name=key[:200]))
    return {name: value for name, value in facts(found, {}).items() if value is not None} if found else {}
