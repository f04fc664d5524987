"""What each kind of source is asked, and the times that sources have which set none."""

from __future__ import annotations

from datetime import UTC, date, datetime

from model_registry.entities.json_types import JsonObject
from model_registry.entities.offer import SourceContent
from model_registry.entities.server_address import ollama_base
from model_registry.entities.source import KINDS, Source, SourceOptions
from model_registry.errors import SourceUnreadable
from model_registry.garden.offers import read_garden
from model_registry.imports.sources.asking import (
    HUB,
    Asking,
    Question,
    ask_hub,
    ask_ollama,
    ask_openai,
    ask_prices,
    ask_training_service,
    read_price_map,
)
from model_registry.imports.sources.fetch import price_map_of_wheel, read_json


def asking_of(source: Source) -> Asking:
    """What a source of a kind that is asked over HTTP is asked. Errors: SourceUnreadable."""
    options = SourceOptions.model_validate(source.options)
    provider = source.provider or source.name
    address = (source.address or HUB).rstrip("/")
    match source.kind:
        case "ollama":
            return ask_ollama(ollama_base(address).removesuffix("/v1"), provider)
        case "openai":
            return ask_openai(address, provider, options.provider_type)
        case "training_service":
            return ask_training_service(address, source.framework, provider)
        case "litellm_prices":
            return ask_prices(address, options.only, today())
        case "huggingface":
            return ask_hub(address, options.models, source.provider)
        case "model_garden":
            return _ask_garden(address)
    raise SourceUnreadable(f"sources of the kind {source.kind!r} are not asked over HTTP")


def usual_times(discovery_interval: float) -> JsonObject:
    """Kind -> the seconds between two questions, and for one answer, of sources that set none."""
    return {
        kind: {"interval": max(discovery_interval, facts.least_seconds), "timeout": facts.seconds}
        for kind, facts in KINDS.items()
    }


def installed_prices(source: Source) -> SourceContent:
    """Read the price map of the installed litellm. Errors: SourceUnreadable."""
    path = price_map_of_wheel()
    if path is None:
        raise SourceUnreadable("litellm is not installed here: set the address of its price map")
    return read_price_map(read_json(path), SourceOptions.model_validate(source.options).only, today())


def today() -> date:
    """The date on which a price map is read: a model that is deprecated by then gets that status."""
    return datetime.now(UTC).date()


def _ask_garden(url: str) -> Asking:
    return read_garden((yield Question(url)))
