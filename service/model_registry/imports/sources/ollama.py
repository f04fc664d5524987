"""Reads the models of an Ollama server: `/api/tags`, and `/api/show` of each. Fetching is in `fetch.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from model_registry.entities.offer import Offer, PassedOver, SourceContent
from model_registry.imports.sources.vram import needed_gb, parameters_text

SOURCE = "ollama"

_TAGS = {
    "completion": ("chat", "streaming"),
    "tools": ("tool_use",),
    "vision": ("vision",),
    "thinking": ("reasoning",),
    "embedding": ("embeddings",),
    "insert": ("fill_in_the_middle",),
    "image": ("image_generation",),
    "audio": ("audio_input",),
}
"""Ollama's capabilities -> ours. Others keep their name."""


def model_names(tags: object) -> list[str]:
    """Return the names of the models in an answer of `/api/tags`."""
    return [name for model in _listed(tags) if (name := _name(model)) is not None]


def read_ollama(tags: object, shown: Mapping[str, Any], url: str, provider: str) -> SourceContent:
    """Make the offers of a server at `url` from its list and, by name, its details of each model."""
    offers, passed_over = [], []
    for model in _listed(tags):
        name = _name(model)
        if name is None:
            passed_over.append(PassedOver(str(model)[:100], "has no name"))
        elif name not in shown:
            passed_over.append(PassedOver(name, "the server does not show it"))
        else:
            offers.append(_offer(name, model, _object(shown[name]), url, provider))
    return SourceContent(tuple(offers), tuple(passed_over))


def _listed(tags: object) -> list[Any]:
    models = tags.get("models") if isinstance(tags, Mapping) else None
    return models if isinstance(models, list) else []


def _name(model: object) -> str | None:
    return _text(model, "name") or _text(model, "model")


def _offer(name: str, listed: Mapping[str, Any], shown: Mapping[str, Any], url: str, provider: str) -> Offer:
    details = _object(listed.get("details")) | _object(shown.get("details"))
    info = _object(shown.get("model_info"))
    listed_tags = shown.get("capabilities") or listed.get("capabilities")
    capabilities = [tag for tag in listed_tags if isinstance(tag, str)] if isinstance(listed_tags, list) else []
    embeds = "embedding" in capabilities and "completion" not in capabilities
    # Models that Ollama runs in its cloud need no memory here.
    size = 0 if listed.get("remote_host") or shown.get("remote_host") else listed.get("size")
    memory = needed_gb(size) if isinstance(size, int | float) else None
    fields = {
        "model_type": "embedding" if embeds else "chat",
        "capabilities": list(dict.fromkeys(tag for theirs in capabilities for tag in _TAGS.get(theirs, (theirs,)))),
        "category": "embedding" if embeds else "vision-vlm" if "vision" in capabilities else "text-llm",
        "context_length": _context_length(info),
        "base_architecture": _text(details, "family") or _text(info, "general.architecture"),
        "parameters": _parameters(details, info),
        "quantization": _quantization(details),
        "requirements": None if memory is None else {"min_vram_gb": memory},
    }
    return Offer(
        provider=provider,
        provider_type="ollama",
        api_base=f"{url.rstrip('/').removesuffix('/v1')}/v1",
        model_id=name,
        fields=fields,
        estimated=["requirements"],
    )


def _context_length(info: Mapping[str, Any]) -> object:
    """Find the context length. Its key starts with the architecture: `llama.context_length`; parts have others."""
    own = f"{info.get('general.architecture')}.context_length"
    return info.get(own) or next((info[key] for key in sorted(info) if key.endswith(".context_length")), None)


def _parameters(details: Mapping[str, Any], info: Mapping[str, Any]) -> str | None:
    size = _text(details, "parameter_size")
    if size is not None and re.fullmatch(r"\d+(\.\d+)?[KMBT]", size):
        return size
    count = info.get("general.parameter_count")
    return parameters_text(count) if isinstance(count, int | float) else None


def _quantization(details: Mapping[str, Any]) -> dict[str, str] | None:
    level = _text(details, "quantization_level")
    if level is None or level == "unknown":
        return None
    return {"type": level} | ({"method": "gguf"} if _text(details, "format") == "gguf" else {})


def _object(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _text(of: object, key: str) -> str | None:
    value: Iterable[str] | None = of.get(key) if isinstance(of, Mapping) else None
    return value if isinstance(value, str) and value else None
