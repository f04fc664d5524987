"""What the sources are asked, one question after another. Pure: what has the connection sends the questions.

An `Asking` yields questions, is sent the JSON of each answer (or has SourceUnreadable thrown in), and returns what the
answers say. Commands send with `fetch.py`; the service, which asks a thousand sources side by side, with connections of
its own (`discovery/`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from http.client import NOT_FOUND
from typing import Any, TypeVar
from urllib.parse import quote

from model_registry.entities.json_types import Json
from model_registry.entities.model_name import name_at_hub
from model_registry.entities.offer import PassedOver, SourceContent
from model_registry.errors import SourceUnreadable
from model_registry.imports.sources import huggingface, litellm_prices, servers
from model_registry.imports.sources.items import MOST_FAILURES, ODD, odd
from model_registry.imports.sources.training_service import read_training_models
from model_registry.imports.sources.weights import weights_of

T = TypeVar("T")

HUB = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class Question:
    """A request for JSON: a GET, or the POST of a body."""

    url: str
    body: Mapping[str, str] | None = None
    done: int = 0
    total: int | None = None
    """How far the asking is, where that is known."""


Steps = Generator[Question, Json, T]
Asking = Steps[SourceContent]


def answered(asking: Asking, ask: Callable[[Question], Json]) -> SourceContent:
    """Send every question with `ask`. Errors: SourceUnreadable."""
    try:
        question = next(asking)
        while True:
            try:
                answer = ask(question)
            except SourceUnreadable as error:
                question = asking.throw(error)
            else:
                question = asking.send(answer)
    except StopIteration as end:
        content: SourceContent = end.value
        return content


def ask_ollama(root: str, provider: str) -> Asking:
    """Ask an Ollama at `root` for its list, and for the details of each model. Errors: SourceUnreadable."""
    tags = yield Question(f"{root}/api/tags")
    _expect_list(tags, "models", f"{root}/api/tags")

    def show(name: str, done: int, total: int) -> Steps[dict[str, Any]]:
        url = f"{root}/api/show"
        return _object((yield Question(url, {"model": name}, done, total)), url)

    shown, unread = yield from _ask_each(servers.model_names(tags), show)
    return servers.read_ollama(tags, shown, root, provider).with_unread(unread)


def ask_openai(base: str, provider: str, provider_type: str | None) -> Asking:
    """Ask an OpenAI-compatible server at `base` for its models. Errors: SourceUnreadable."""
    answer = yield Question(f"{base}/models")
    if not isinstance(answer, list):
        _expect_list(answer, "data", f"{base}/models")
    return servers.read_openai_models(answer, provider, provider_type or servers.type_of_server(answer), base)


def ask_training_service(base: str, framework: str | None, provider: str) -> Asking:
    """Ask a training service at `base` for its models. Errors: SourceUnreadable."""
    answer = yield Question(f"{base}/models/list")
    return read_training_models(answer, framework=framework, provider=provider, api_base=base)


def ask_prices(url: str, only: Sequence[str], today: date) -> Asking:
    """Ask for a price map, and read it, or the models of some providers in it. Errors: SourceUnreadable."""
    document = yield Question(url)
    return read_price_map(document, only, today)


def read_price_map(document: Json, only: Sequence[str], today: date) -> SourceContent:
    """Read a price map, or the models of some providers in it. Errors: SourceUnreadable."""
    if not isinstance(document, dict):
        raise SourceUnreadable("the price map is not an object of models")
    if only:
        document = {key: entry for key, entry in document.items() if _is_of(entry, only)}
    return litellm_prices.read_prices(document, today)


def _is_of(entry: object, providers: Sequence[str]) -> bool:
    """Whether an entry of the price map belongs to one of these providers, by LiteLLM's or the registry's name."""
    theirs = entry.get("litellm_provider") if isinstance(entry, dict) else None
    return isinstance(theirs, str) and not {theirs, litellm_prices.namesake(theirs, "").name}.isdisjoint(providers)


def ask_hub(hub: str, models: Sequence[str], provider: str | None) -> Asking:
    """Ask Hugging Face for each of these models. What one lacks is noted, and the others are read."""

    def ask(model: str, done: int, total: int) -> Steps[SourceContent]:
        return (yield from _ask_hub_for(hub, model, provider, done, total))

    read, unread = yield from _ask_each(models, ask)
    return SourceContent.joined(read.values()).with_unread(unread)


def _ask_hub_for(hub: str, model: str, provider: str | None, done: int, total: int) -> Asking:
    """Ask for one model. Not every model has a config.json: GGUF files, for example, need none."""
    name = name_at_hub(model)
    unread: list[PassedOver] = []

    def more_of(url: str, what: str) -> Steps[dict[str, Any]]:
        """Ask for what a model need not have: nothing where there is none, and a note where it could not be read."""
        try:
            return _object((yield Question(url, None, done, total)), url)
        except SourceUnreadable as error:
            if error.data.get("status") != NOT_FOUND:
                unread.append(PassedOver(what, error.message))
            return {}

    repository = quote(name.partition(":")[0])
    url = f"{hub}/api/models/{repository}"
    info = _object((yield Question(url, None, done, total)), url)
    config = yield from more_of(f"{hub}/{repository}/resolve/main/config.json", f"{name}'s config.json")
    if "requirements" in weights_of(name, config, info).reasons:
        # The sizes of the files decide what the Hub's counts leave open.
        info = (yield from more_of(f"{url}?blobs=true", f"the sizes of {name}'s files")) or info
    content = huggingface.read_huggingface(name, config, info, provider).with_unread(unread)
    # A new row at an Ollama needs the name with hf.co/ in front.
    return content if "://" in model else content.with_offers(model_id=model)


def _ask_each(
    names: Sequence[str], ask: Callable[[str, int, int], Steps[T]]
) -> Steps[tuple[dict[str, T], tuple[PassedOver, ...]]]:
    """Ask for each name. Returns what was answered, and the names for which that failed, with the reason.

    After some failures in a row the rest is not asked for: each can take as long as the source has in all.
    """
    found: dict[str, T] = {}
    unread: list[PassedOver] = []
    failures = 0
    for done, name in enumerate(names, 1):
        if failures == MOST_FAILURES:
            unread.append(PassedOver(name, f"not asked for, after {MOST_FAILURES} failures in a row"))
            continue
        try:
            found[name] = yield from ask(name, done, len(names))
            failures = 0
        except SourceUnreadable as error:
            unread.append(PassedOver(name, error.message))
            failures += 1
        except ODD as error:
            unread.append(odd(name, error))
    return found, tuple(unread)


def _object(answer: Json, url: str) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise SourceUnreadable(f"{url} answers with no JSON object")
    return answer


def _expect_list(answer: Json, key: str, url: str) -> None:
    """Refuse an answer that lists nothing: it must not look as if all models were gone. Errors: SourceUnreadable."""
    listed = answer.get(key, False) if isinstance(answer, dict) else False
    if listed is not None and not isinstance(listed, list):  # Go writes null for an empty list
        raise SourceUnreadable(f"{url} answers with no list {key!r}")
