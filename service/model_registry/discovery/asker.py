"""Asks one source: its questions one after another, and its answers into offers. Writes nothing."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from model_registry import __version__
from model_registry.discovery.answer_plan import Answer
from model_registry.discovery.fetcher import Fetched, Fetcher, Fetchers
from model_registry.discovery.kinds import asking_of, installed_prices, today
from model_registry.discovery.local_files import read_files
from model_registry.entities.json_types import Json
from model_registry.entities.offer import SourceContent
from model_registry.entities.source import KINDS, Source, SourceAnswer, SourceOptions, variable_problem
from model_registry.errors import RegistryError, SourceUnreadable
from model_registry.imports.sources.asking import Asking, Question
from model_registry.imports.sources.training_service import read_training_models
from model_registry.installed_module import ask_module
from model_registry.store.json_bytes import json_bytes, parse_json
from model_registry.work_pool import WorkPool

_SERVERS = frozenset({"ollama", "openai", "training_service"})
"""Kinds whose models are all at their address."""
_OF_SEVERAL = "huggingface"
"""The kind whose first answer does not tell whether the others are as they were."""

MOST_ENTRIES = 20_000
"""Of one answer. To plan more takes longer than a source has for its answer, and the event loop notices."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the operator lets sources read that are not asked over HTTP, and the environment with the keys of others."""

    files: Path | None
    module: str | None
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Raw:
    """The newest answer of a source: what is equal need not be read, or need not be planned."""

    question: str
    digest: bytes | None
    """Of the first answer as it came; None where nothing came over HTTP."""
    content: str
    """The digest of all that was read: the answer is known as long as the source's row has the same."""
    offers: Mapping[str, bytes]
    """The digest of each offer, by what its provider calls the model: an equal one need not be planned."""
    etag: str | None
    last_modified: str | None


class _NotChanged(Exception):
    """The source answers what it answered before."""


class Asker:
    """Asks sources. Remembers of each what it answered last, so that an equal answer costs a digest."""

    def __init__(self, fetchers: Fetchers, allowed: Allowed, reading: WorkPool) -> None:
        """`reading`: where answers are read, off the event loop."""
        self._fetchers = fetchers
        self._allowed = allowed
        self._reading = reading
        self._raw: dict[str, _Raw] = {}

    async def ask(
        self, source: Source, known: SourceAnswer | None, good_at: str | None, *, anew: bool = False
    ) -> Answer:
        """Ask a source, within its time. What goes wrong is in the answer.

        `known` is its last answer: an equal one has no content. `anew`: read it all the same.
        """
        answer = Answer(source, f"{source.version} of {__version__}", good_at=good_at)
        try:
            seconds = SourceOptions.model_validate(source.options).timeout_seconds or KINDS[source.kind].seconds
            async with asyncio.timeout(seconds):
                return await self._asked(answer, None if anew else known)
        except TimeoutError:
            error = f"has not answered within {seconds:g} s"
        except RegistryError as failed:
            error = failed.message
        except (OSError, ValueError, KeyError) as failed:  # a row written in SQL may have any options and kind
            error = f"cannot be asked: {failed}"
        self._raw.pop(source.id, None)
        return replace(answer, error=error)

    def close(self) -> None:
        """Stop reading."""
        self._reading.close()

    def forget_all_but(self, ids: Collection[str]) -> None:
        """Forget the answers of sources that are gone."""
        self._raw = {source: raw for source, raw in self._raw.items() if source in ids}

    async def _asked(self, answer: Answer, known: SourceAnswer | None) -> Answer:
        source = answer.source
        # What was skipped may be taken today: somebody may have mended what was in its way.
        settled = known if known and known.question == answer.question and not known.skipped else None
        raw = self._raw.get(source.id)
        raw = raw if raw and settled and (raw.question, raw.content) == (settled.question, settled.digest) else None
        exchange = _Exchange(self._reading, _authorisation(source, self._allowed.environment))
        if settled is not None and source.kind != _OF_SEVERAL:
            exchange.conditions = _conditions(settled, raw)
            exchange.is_known = lambda digest: raw is not None and raw.digest == digest
        try:
            content = await self._content(source, exchange)
        except _NotChanged:
            return answer
        first = exchange.first or Fetched(None)
        digest, offers = await self._reading.go_on(_digests, content)
        # Where a source spells names differently from the rows, rows are not found by them.
        comparable = raw.offers if raw and source.kind != _OF_SEVERAL else {}
        self._raw[source.id] = _Raw(answer.question, exchange.digest, digest, offers, first.etag, first.last_modified)
        if settled is not None and digest == settled.digest:
            return answer
        return replace(
            answer,
            content=content,
            etag=first.etag,
            last_modified=first.last_modified,
            digest=digest,
            same=frozenset(name for name, made in offers.items() if comparable.get(name) == made),
        )

    async def _content(self, source: Source, exchange: _Exchange) -> SourceContent:
        """What the source has. Errors: SourceUnreadable; _NotChanged."""
        provider, read = source.provider or source.name, self._reading.go_on
        if source.kind in {"file", "directory"}:
            return await read(read_files, source, self._allowed.files, provider, today())
        if source.kind == "module":
            if not self._allowed.module:
                raise SourceUnreadable("the operator names no module: MODEL_REGISTRY_SOURCES_MODULE is not set")
            document = await ask_module(self._allowed.module)
            return await read(
                read_training_models, document, framework=source.framework, provider=provider, api_base=None
            )
        if source.kind == "litellm_prices" and source.address is None:
            return await read(installed_prices, source)
        async with self._fetchers.fetcher() as fetcher:
            content = await exchange.carry_out(asking_of(source), fetcher)
        # A name that people gave means that very provider; the source's own is a suggestion for a new one.
        suggested = source.provider is None and source.kind in _SERVERS
        return content.with_offers(provider_suggested=True) if suggested else content


class _Exchange:
    """Sends the questions of one asking."""

    def __init__(self, reading: WorkPool, authorisation: dict[str, str]) -> None:
        self._reading = reading
        self._authorisation = authorisation
        self.conditions: dict[str, str] = {}
        """Headers of the first question, which ask whether anything has changed."""
        self.is_known: Callable[[bytes], bool] = lambda _digest: False
        """Whether a first answer of this digest is the one that is known."""
        self.first: Fetched | None = None
        self.digest: bytes | None = None
        """Of the first answer."""

    async def carry_out(self, asking: Asking, fetcher: Fetcher) -> SourceContent:
        """Send every question; each step of reading is taken off the event loop. Errors: SourceUnreadable."""
        step = await self._reading.go_on(_begin, asking)
        while isinstance(step, Question):
            try:
                body = await self._send(step, fetcher)
            except SourceUnreadable as error:
                step = await self._reading.go_on(_throw, asking, error)
            else:
                step = await self._reading.go_on(_continue, asking, step.url, body)
        return step

    async def _send(self, question: Question, fetcher: Fetcher) -> bytes:
        is_first = self.first is None
        conditions = self.conditions if is_first else {}
        fetched = await fetcher.fetch(question, self._authorisation | conditions)
        if fetched.body is None:
            if not conditions:
                raise SourceUnreadable(f"{question.url} answers 304, and was not asked whether anything has changed")
            raise _NotChanged
        if is_first:
            self.first, self.digest = fetched, hashlib.blake2b(fetched.body, digest_size=16).digest()
            if self.is_known(self.digest):
                raise _NotChanged
        return fetched.body


def _begin(asking: Asking) -> Question | SourceContent:
    return _step(lambda: next(asking))


def _continue(asking: Asking, url: str, body: bytes) -> Question | SourceContent:
    try:
        document: Json = parse_json(body)
    except (ValueError, RecursionError) as error:
        return _throw(asking, SourceUnreadable(f"{url} does not answer with JSON: {str(error)[:200]}"))
    if _entries(document) > MOST_ENTRIES:
        message = f"{url} lists more than {MOST_ENTRIES:,} entries, the most that is read of a source"
        return _throw(asking, SourceUnreadable(message))
    return _step(lambda: asking.send(document))


def _entries(document: Json) -> int:
    """Count what an answer lists: itself, or the longest list or object in it."""
    inner = document.values() if isinstance(document, dict) else ()
    return max(len(part) for part in (document, *inner, ()) if isinstance(part, list | dict | tuple))


def _throw(asking: Asking, error: SourceUnreadable) -> Question | SourceContent:
    return _step(lambda: asking.throw(error))


def _step(step: Callable[[], Question]) -> Question | SourceContent:
    """Take a step of an asking: its next question, or what all answers say."""
    try:
        return step()
    except StopIteration as end:
        content: SourceContent = end.value
        return content


def _conditions(known: SourceAnswer, raw: _Raw | None) -> dict[str, str]:
    """The headers that ask whether anything has changed since the answer that is known."""
    etag, since = (raw.etag, raw.last_modified) if raw else (known.etag, known.last_modified)
    return {**({"If-None-Match": etag} if etag else {}), **({"If-Modified-Since": since} if since else {})}


def _authorisation(source: Source, environment: Mapping[str, str]) -> dict[str, str]:
    """The header with the source's key. Errors: SourceUnreadable."""
    name = source.api_key_env_var
    if name is None:
        return {}
    if problem := variable_problem(name):
        raise SourceUnreadable(f"api_key_env_var {problem}")
    if not (key := environment.get(name)):
        raise SourceUnreadable(f"the environment variable {name} is not set where the registry runs")
    return {"Authorization": f"Bearer {key}"}


def _digests(content: SourceContent) -> tuple[str, dict[str, bytes]]:
    """A digest of all that was read, and one of each offer.

    Of what was read, not of what was sent: answers may differ in the time of day, for example, and say the same.
    """
    made = hashlib.blake2b(digest_size=16)
    offers = {}
    for offer in content.offers:
        digest = hashlib.blake2b(json_bytes(offer.model_dump()), digest_size=16).digest()
        made.update(digest)
        offers[offer.model_id] = digest
    for entry in (*content.passed_over, *content.unread):
        made.update(json_bytes([entry.name, entry.reason]))
    return made.hexdigest(), offers
