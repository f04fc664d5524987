"""`POST /predict` with `aggregate`: several versions or model types at once, each with its source, time and failure."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from model_registry.api.dispatch.combining import AGGREGATES, Aggregate, majority, mean, result_of
from model_registry.api.dispatch.fields import Fields, invalid
from model_registry.api.dispatch.request import DispatchRequest
from model_registry.errors import DispatchError, NoInstance, QueueFull, Reason, TooManyRequests, UpstreamFailed
from model_registry.services.dispatch.dispatcher import Dispatcher
from model_registry.services.dispatch.header_rules import Header
from model_registry.services.dispatch.plan import Plan

MOST_SOURCES = 32
MOST_ANSWER_BYTES = 4 * 2**20
"""Of one answer: all are held, and read, before the caller gets any."""
_FAILED = 400


@dataclass(slots=True)
class Source:
    """One version of one model type that is asked, and what came of it."""

    model_type: str
    version: str | None
    plan: Plan = field(repr=False)
    service: str | None = None
    status: int | None = None
    attempts: int = 0
    upstream_seconds: float = 0.0
    seconds: float | None = None
    answer: Any = None
    problem: str | None = None
    error: DispatchError | None = None

    def view(self) -> dict[str, Any]:
        """What the caller gets of it."""
        facts: dict[str, Any] = {"model_type": self.model_type, "model_version": self.version, "service": self.service}
        facts |= {"status": self.status, "seconds": None if self.seconds is None else round(self.seconds, 4)}
        if self.problem is None:
            return {**facts, "answer": self.answer}
        code = self.error.code if self.error is not None else UpstreamFailed.code
        return {**facts, "error": {"code": code, "detail": self.problem}}


def aggregate_of(fields: Fields) -> Aggregate:
    """Which aggregate is asked for. Errors: Invalid."""
    given = fields.text("aggregate")
    for known in AGGREGATES:
        if given == known:
            return known
    raise invalid("aggregate", f"must be one of: {', '.join(AGGREGATES)}")


def names_of(fields: Fields, name: str) -> list[str] | None:
    """A field that is a list of texts, if it is given. Errors: Invalid."""
    given = fields.own.get(name)
    if given is None:
        return None
    if isinstance(given, list) and given and all(isinstance(one, str) and one for one in given):
        return list(dict.fromkeys(given))
    raise invalid(name, "must be a list of texts, with one at least")


async def ask_all(
    dispatcher: Dispatcher, sources: Sequence[Source], request: DispatchRequest, mode: Aggregate
) -> dict[str, Any]:
    """Ask all sources at once. For `first` the others are given up once one has answered well.

    Errors: NoInstance, QueueFull, UpstreamFailed when none has answered well, with the reason of each.
    """
    headers = request.upstream_headers()
    tasks = [asyncio.ensure_future(_ask(dispatcher, source, headers, request.hold_answer)) for source in sources]
    try:
        if mode == "first":
            await _one_of(tasks, sources)
        else:
            await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return _combined(mode, sources)


async def _one_of(tasks: Sequence[asyncio.Future[None]], sources: Sequence[Source]) -> None:
    pending = set(tasks)
    while pending and not any(_is_good(source) for source in sources):
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    for source, task in zip(sources, tasks, strict=True):
        if not task.done():
            source.problem = "it was given up, as another had answered"


async def _ask(dispatcher: Dispatcher, source: Source, headers: list[Header], hold: Callable[[int], None]) -> None:
    """Ask one source, and note what it says, or why it fails. `hold`: takes room for what has come, or refuses it."""
    began = time.monotonic()
    try:
        with await dispatcher.dispatch(source.plan, headers) as answer:
            source.service, source.status, source.attempts = answer.service, answer.status, answer.attempts
            source.upstream_seconds = answer.upstream_seconds
            body = bytearray()
            async for data in answer.body():
                body += data
                hold(len(data))
                if len(body) > MOST_ANSWER_BYTES:
                    source.problem = f"its answer is larger than {MOST_ANSWER_BYTES // 2**20} MiB"
                    return
        _read(source, bytes(body))
    except TooManyRequests as error:
        source.problem = error.message
    except DispatchError as error:
        source.error, source.problem = error, error.message
        source.attempts = error.data.get("attempts", source.attempts)
        source.service = error.data.get("service", source.service)
    finally:
        source.seconds = time.monotonic() - began


def _read(source: Source, body: bytes) -> None:
    try:
        content = json.loads(body)  # takes NaN, which services write
    except (ValueError, RecursionError):
        content = None
    if source.status is not None and source.status >= _FAILED:
        detail = content.get("detail") if isinstance(content, dict) else None
        source.problem = f"it answered {source.status}" + (f": {detail}" if isinstance(detail, str) else "")
    elif content is None:
        source.problem = "its answer is no JSON"
    elif (fault := _unwritable(content)) is not None:
        source.problem = f"its answer cannot be passed on: {fault}"
    else:
        source.answer = content


def _unwritable(content: Any) -> str | None:  # noqa: ANN401 (any JSON)
    """Why this can be read, and not written: a number of more than 64 bits, half a character, too deep."""
    try:
        orjson.dumps(content)
    except orjson.JSONEncodeError as error:
        return str(error)
    return None


def _is_good(source: Source) -> bool:
    return source.seconds is not None and source.problem is None


def _combined(mode: Aggregate, sources: Sequence[Source]) -> dict[str, Any]:
    good = [source for source in sources if _is_good(source)]
    if not good:
        raise _none(sources)
    document: dict[str, Any] = {"aggregate": mode}
    results = [result_of(source.answer) for source in good]
    if mode == "mean":
        try:
            document["result"] = mean(results)
        except ValueError as error:
            raise UpstreamFailed(f"There is no mean: {error}. Ask for `all` to see them.") from None
    elif mode == "majority":
        document["result"], document["votes"] = majority(results)
    elif mode == "first":
        quickest = min(range(len(good)), key=lambda number: good[number].seconds or 0.0)
        document["result"] = results[quickest]
    document["failed"] = sum(source.problem is not None for source in sources)
    document["answers"] = [source.view() for source in sources]
    return document


def _none(sources: Sequence[Source]) -> DispatchError:
    reasons = [Reason(f"{s.model_type} {s.version or ''}".strip(), s.problem or "no answer") for s in sources]
    errors = [source.error for source in sources]
    for kind in (NoInstance, QueueFull):
        if all(isinstance(error, kind) for error in errors):
            return kind("None of the models could be asked.", reasons=reasons, retry_after=1)
    return UpstreamFailed("None of the models has answered.", reasons=reasons)


async def respond_with(request: DispatchRequest, sources: Sequence[Source], document: dict[str, Any]) -> None:
    """Answer with the combined document."""
    body = orjson.dumps(document)
    took = max(source.upstream_seconds for source in sources)
    names = ", ".join(dict.fromkeys(source.service for source in sources if source.service))
    attempts = sum(source.attempts for source in sources)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await request.begin_with(200, headers, names, attempts, took)
    await request.send({"type": "http.response.body", "body": body})
