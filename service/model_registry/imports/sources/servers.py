"""Reads the models of a server: Ollama's `/api/tags` and `/api/show`, or `/v1/models` of OpenAI's interface.

What servers say beside names is read in `server_facts.py`. Fetching is in `fetch.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from model_registry.entities.offer import Offer, PassedOver, SourceContent
from model_registry.imports.sources.items import make_offer
from model_registry.imports.sources.model_config import as_object, number_in, object_in, text_in
from model_registry.imports.sources.model_size import needed_gb, parameters_text
from model_registry.imports.sources.server_facts import NotCatalogued, limits, model_type, no_limits, prices

OLLAMA = "ollama"
OPENAI = "openai"
"""Names of the sources."""

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
    passed_over, read = [], []
    for model in _listed(tags):
        name = _name(model)
        if name is None:
            passed_over.append(PassedOver(str(model)[:100], "has no name"))
        elif name not in shown:
            passed_over.append(PassedOver(name, "the server does not show it"))
        else:
            read.append(make_offer(name, partial(_offer, name, model, as_object(shown[name]), url, provider)))
    return SourceContent.joined([SourceContent((), tuple(passed_over)), *read])


def _listed(tags: object) -> list[Any]:
    models = as_object(tags).get("models")
    return models if isinstance(models, list) else []


def _name(model: object) -> str | None:
    return text_in(as_object(model), "name") or text_in(as_object(model), "model")


def _offer(name: str, listed: Mapping[str, Any], shown: Mapping[str, Any], url: str, provider: str) -> Offer:
    details = object_in(listed, "details") | object_in(shown, "details")
    info = object_in(shown, "model_info")
    listed_tags = shown.get("capabilities") or listed.get("capabilities")
    capabilities = [tag for tag in listed_tags if isinstance(tag, str)] if isinstance(listed_tags, list) else []
    embeds = "embedding" in capabilities and "completion" not in capabilities
    # Models that Ollama runs in its cloud need no memory here.
    size = None if listed.get("remote_host") or shown.get("remote_host") else number_in(listed, "size")
    memory = needed_gb(size) if size else None
    fields = {
        "model_type": "embedding" if embeds else "chat",
        "capabilities": list(dict.fromkeys(tag for theirs in capabilities for tag in _TAGS.get(theirs, (theirs,)))),
        "category": "embedding" if embeds else "vision-vlm" if "vision" in capabilities else "text-llm",
        "context_length": _context_length(info),
        "base_architecture": text_in(details, "family") or text_in(info, "general.architecture"),
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
    return number_in(info, own, *(key for key in sorted(info) if key.endswith(".context_length")))


def _parameters(details: Mapping[str, Any], info: Mapping[str, Any]) -> str | None:
    size = text_in(details, "parameter_size")
    if size is not None and re.fullmatch(r"\d+(\.\d+)?[KMBT]", size):
        return size
    count = number_in(info, "general.parameter_count")
    return parameters_text(count) if count else None


def _quantization(details: Mapping[str, Any]) -> dict[str, str] | None:
    level = text_in(details, "quantization_level")
    if level is None or level == "unknown":
        return None
    return {"type": level} | ({"method": "gguf"} if text_in(details, "format") == "gguf" else {})


def type_of_server(answer: object) -> str:
    """Return the provider type of a server by what its models say of their owner."""
    listed = answer.get("data") if isinstance(answer, Mapping) else answer
    owners = (
        [model.get("owned_by") for model in listed if isinstance(model, Mapping)] if isinstance(listed, list) else []
    )
    return next((kind for kind in ("vllm", "sglang") if kind in owners), "openai_compatible")


def read_openai_models(answer: object, provider: str, provider_type: str, api_base: str) -> SourceContent:
    """Make the offers of a server at `api_base`."""
    listed = answer.get("data") if isinstance(answer, Mapping) else answer
    passed_over, read = [], []
    seen: set[str] = set()
    for model in listed if isinstance(listed, list) else ():
        model_id = model.get("id") if isinstance(model, Mapping) else None
        if not isinstance(model_id, str) or not model_id:
            passed_over.append(PassedOver(str(model)[:100], "has no id"))
            continue
        try:
            kind = _kind(model, model_id, seen)
        except NotCatalogued as error:
            passed_over.append(PassedOver(model_id, str(error)))
            continue
        seen.add(model_id)
        at = {"provider": provider, "provider_type": provider_type, "api_base": api_base}
        read.append(make_offer(model_id, partial(_openai_offer, model, model_id, kind, at)))
    return SourceContent.joined([SourceContent((), tuple(passed_over)), *read])


def _openai_offer(model: Mapping[str, Any], model_id: str, kind: str, at: Mapping[str, str]) -> Offer:
    facts, wrong = _openai_facts(model, kind), no_limits(limits(model))
    fields = {name: value for name, value in facts.items() if name not in wrong}
    return Offer.model_validate({**at, "model_id": model_id, "fields": fields, "left_out": wrong})


def _kind(model: Mapping[str, Any], model_id: str, seen: set[str]) -> str:
    """Find the type of a model. Errors: NotCatalogued, with the reason why it is none of ours."""
    if model_id in seen:
        raise NotCatalogued("stands in the answer twice")
    if "*" in model_id:
        raise NotCatalogued("a pattern of names, and no model")
    try:
        return model_type(model, model_id)
    except NotCatalogued as error:
        raise NotCatalogued(f"no kind of model that is catalogued: {error}") from error


def _openai_facts(model: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the facts in the answer only, so that others stay as they were: servers differ in what they report."""
    fields = {
        "model_type": kind,
        **limits(model),
        "description": model.get("description"),
        "capabilities": _capabilities(model),
        **prices(model, kind),
    }
    return {name: value for name, value in fields.items() if value not in (None, [], "")}


def _capabilities(model: Mapping[str, Any]) -> list[str]:
    """Return tags from Mistral's flags and from OpenRouter's parameters and modalities."""
    flags = object_in(model, "capabilities")
    tags = [str(tag).replace("completion_chat", "chat") for tag, supported in flags.items() if supported is True]
    parameters = model.get("supported_parameters")
    if isinstance(parameters, list):
        known = {"tools": "tool_use", "structured_outputs": "structured_outputs", "response_format": "json_mode"}
        tags += [tag for theirs, tag in known.items() if theirs in parameters]
    if "image" in (object_in(model, "architecture").get("input_modalities") or ()):
        tags.append("vision")
    return list(dict.fromkeys(tags))
