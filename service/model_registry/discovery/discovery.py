"""Asks every source when it is due: up to 32 side by side, each by one replica of several.

A claim in the database decides which replica asks (`store/source_turns.py`). Answers that come together are written
together. While the database is away nobody is asked; what the sources answered last stays, as everything does.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import structlog

from model_registry.discovery.answer_plan import Answer
from model_registry.discovery.answer_writer import ACTOR, MOST_OPERATIONS, AnswerWriter, Written
from model_registry.discovery.asker import Asker
from model_registry.discovery.environment_sources import plan_environment
from model_registry.entities.json_types import JsonObject
from model_registry.entities.source import Source, SourceDraft
from model_registry.errors import Conflict, PreconditionFailed, RegistryError, StorageError, TooManyRequests
from model_registry.store.registry import Registry
from model_registry.store.source_turns import Claim, SourceTurns

log = structlog.get_logger(__name__)

CONNECTIONS = 32
"""Sources asked at once, each over one connection."""
_LOOK_SECONDS = 1.0
"""Between two looks at who is due. Also how late a source may be asked."""
_AGAIN_SECONDS = 0.2
"""Between two tries to claim one source."""
_WAITING = 64
"""Answers that wait to be written; while there are more, nobody new is asked."""
_MOST_LOGGED = 10
"""Sources that are named in the log for one write."""

Observe = Callable[[str, str, float], None]
"""Counts an answer: kind, outcome (changed, unchanged or failed), seconds."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What discovery works with."""

    registry: Registry
    turns: SourceTurns
    asker: Asker
    writer: AnswerWriter
    new_id: Callable[[], str]


class Discovery:
    """All sources of a registry, as one replica asks them."""

    def __init__(self, parts: Parts, times: JsonObject, environment: dict[str, SourceDraft], observe: Observe) -> None:
        """`times`: kind -> usual interval and timeout; `environment`: the sources that variables make."""
        self._parts = parts
        self._times = times
        self._environment = environment
        self._observe = observe
        self._asking: set[asyncio.Task[None]] = set()
        self._answers: asyncio.Queue[Answer] = asyncio.Queue(_WAITING)
        self._claimed: set[str] = set()
        self._refreshing: set[asyncio.Task[Written]] = set()

    async def run(self) -> None:
        """Ask until cancelled."""
        await self._follow_environment()
        writing = asyncio.create_task(self._write_all())
        try:
            while not writing.done():
                await self._claim()
                await asyncio.wait({*self._asking, writing}, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            writing.result()  # it ends by a bug alone
        finally:
            for task in (*self._asking, writing):
                task.cancel()
            await asyncio.gather(*self._asking, writing, return_exceptions=True)

    async def close(self) -> None:
        """Give up what is not asked to the end, and its claims: the service is stopping."""
        for refreshing in self._refreshing:
            refreshing.cancel()
        await asyncio.gather(*self._refreshing, return_exceptions=True)
        self._parts.asker.close()
        if self._claimed:
            with contextlib.suppress(RegistryError):
                await self._parts.turns.end(self._claimed, ())

    async def look(self, source: Source) -> Written:
        """Ask a source now, and plan what it answers without writing. Errors: those of an import."""
        known = self._parts.registry.snapshot.source_answers.get(source.id)
        return await self._parts.writer.plan(await self._parts.asker.ask(source, known, None, anew=True))

    async def refresh(self, source: Source, actor: str, wait: float) -> Written | None:
        """Ask a source now, and write what it answers; None: that takes longer than `wait` seconds, and goes on.

        While it is being asked already, that is waited for first. Errors: TooManyRequests, if that takes longer;
        StorageError.
        """
        until = time.monotonic() + wait
        while not (claims := await self._parts.turns.claim(1, self._times, only=source.id)):
            if time.monotonic() > until:
                message = f"The source {source.name!r} is being asked already. Try again in a few seconds."
                raise TooManyRequests(message)
            await asyncio.sleep(_AGAIN_SECONDS)
        refreshing = asyncio.create_task(self._refresh(source, claims[0], actor), name=f"refresh {source.name}")
        self._refreshing.add(refreshing)
        refreshing.add_done_callback(self._refreshed)
        await asyncio.wait({refreshing}, timeout=max(0.0, until - time.monotonic()))
        return refreshing.result() if refreshing.done() else None

    def _refreshed(self, refreshing: asyncio.Task[Written]) -> None:
        self._refreshing.discard(refreshing)
        if not refreshing.cancelled():
            refreshing.exception()  # the caller that waited has it; it is in the source's row too

    async def _refresh(self, source: Source, claim: Claim, actor: str) -> Written:
        parts, good = self._parts, []
        try:
            known = parts.registry.snapshot.source_answers.get(source.id)
            began = time.monotonic()
            answer = await parts.asker.ask(source, known, claim.good_at, anew=True)
            self._count(answer, time.monotonic() - began)
            (written,) = await self._write([answer], actor)
            good = [] if written.answer.error else [source.id]
            return written
        finally:
            with contextlib.suppress(RegistryError):
                await asyncio.shield(parts.turns.end([source.id], good))

    async def _claim(self) -> None:
        """Begin to ask those that are due, as far as there is room."""
        registry = self._parts.registry
        free = min(CONNECTIONS - len(self._asking), _WAITING - self._answers.qsize())
        sources = registry.snapshot.sources if registry.loaded else ()
        self._parts.asker.forget_all_but({source.id for source in sources})
        if free < CONNECTIONS // 4 or not any(source.active for source in sources):
            return
        try:
            claims = await self._parts.turns.claim(free, self._times)
        except StorageError as error:
            log.debug("no source could be claimed", error=error.message)  # the registry logs that the database is away
            return
        for claim in claims:
            self._claimed.add(claim.source_id)
            task = asyncio.create_task(self._ask(claim), name=f"ask {claim.source_id}")
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _ask(self, claim: Claim) -> None:
        registry = self._parts.registry
        source = registry.snapshot.sources.get(claim.source_id)
        if source is None:  # made by another replica, or in SQL, a moment ago
            with contextlib.suppress(RegistryError):
                await registry.refresh()
            source = registry.snapshot.sources.get(claim.source_id)
        if source is None:
            return
        began = time.monotonic()
        known = registry.snapshot.source_answers.get(source.id)
        answer = await self._parts.asker.ask(source, known, claim.good_at)
        self._count(answer, time.monotonic() - began)
        await self._answers.put(answer)

    async def _write_all(self) -> None:
        """Write answers as they come; those that come while others are written go together."""
        while True:
            answers = [await self._answers.get()]
            offers = _offers(answers[0])
            while offers < MOST_OPERATIONS and not self._answers.empty():
                answers.append(self._answers.get_nowait())
                offers += _offers(answers[-1])
            asked = [answer.source.id for answer in answers]
            good = []
            try:
                good = [w.answer.source.id for w in await self._write(answers) if not w.answer.error]
            except RegistryError as error:
                log.warning("answers of sources could not be written", number=len(answers), error=error.message)
            try:
                await self._parts.turns.end(asked, good)
                self._claimed.difference_update(asked)
            except StorageError as error:
                log.debug("claims could not be given back; they lapse", error=error.message)

    async def _write(self, answers: Sequence[Answer], actor: str = ACTOR) -> list[Written]:
        """Write answers, and log which sources have stopped answering, and which answer again."""
        known = [self._parts.registry.snapshot.source_answers.get(answer.source.id) for answer in answers]
        failing = {one.id for one in known if one is not None and one.state == "failing"}
        written = await self._parts.writer.write(answers, actor)
        log_answers([one.answer for one in written], failing)
        for one in written:
            if gone := one.plan.missing:
                named = gone[:_MOST_LOGGED]
                log.info("models are listed no more", source=one.answer.source.name, number=len(gone), models=named)
        return written

    async def _follow_environment(self) -> None:
        """Write the rows of the environment's sources, as soon as the database answers."""
        registry = self._parts.registry
        while True:
            try:
                await registry.refresh()
                operations = plan_environment(registry.snapshot, self._environment, self._parts.new_id)
                await registry.write(operations, actor="environment")
            except (Conflict, PreconditionFailed):
                continue  # another replica did it
            except RegistryError as error:
                log.debug("the environment's sources could not be written", error=error.message)
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                return

    def _count(self, answer: Answer, seconds: float) -> None:
        outcome = "failed" if answer.error else "unchanged" if answer.content is None else "changed"
        self._observe(answer.source.kind, outcome, seconds)


def log_answers(answers: Sequence[Answer], failing: Collection[str]) -> None:
    """Log what changes: a source that fails is not news every half a minute, nor is each of a hundred."""
    stopped = [answer for answer in answers if answer.error and answer.source.id not in failing]
    back = [answer.source.name for answer in answers if not answer.error and answer.source.id in failing]
    for answer in stopped[:_MOST_LOGGED]:
        log.warning("a source does not answer", source=answer.source.name, error=answer.error)
    if len(stopped) > _MOST_LOGGED:
        more = len(stopped) - _MOST_LOGGED
        log.warning("more sources do not answer; GET /api/sources says why", number=more)
    if back:
        log.info("sources answer again", number=len(back), sources=back[:_MOST_LOGGED])


def _offers(answer: Answer) -> int:
    """How many offers of an answer have to be planned."""
    return max(0, len(answer.content.offers) - len(answer.same)) if answer.content else 0
