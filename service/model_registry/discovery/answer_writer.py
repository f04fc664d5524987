"""Writes answers: those that come together in one write, as far as they do not touch the same rows.

A list of thousands of models takes several: what breaks off in between is planned anew from where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from model_registry.catalog.secret_check import refuse_secrets
from model_registry.discovery.answer_plan import BEGUN, Answer, AnswerPlan, AnswerPlanner, failure, together
from model_registry.entities.change import Operation
from model_registry.errors import Conflict, PreconditionFailed, RegistryError, StorageError
from model_registry.imports.offers import Fault
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.registry import Registry
from model_registry.work_pool import WorkPool

_TRIES = 4
"""Times an answer is planned anew after somebody else changed the same rows."""
ACTOR = "discovery"
MOST_OPERATIONS = 2000
"""Of one write: more take longer than a write may."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of an answer."""

    plan: AnswerPlan
    revision: int

    @property
    def answer(self) -> Answer:
        """The answer as it was recorded: one that cannot be imported has become a failure."""
        return self.plan.answer


class AnswerWriter:
    """Plans answers and writes them."""

    def __init__(self, registry: Registry, planning: WorkPool, new_id: Callable[[], str], fault: Fault) -> None:
        """`planning`: where plans are made, off the event loop."""
        self._registry = registry
        self._planning = planning
        self._new_id = new_id
        self._fault = fault

    async def plan(self, answer: Answer) -> Written:
        """Plan one answer, and write nothing. Errors: those of an import."""
        snapshot = self._registry.snapshot
        (plan,) = await self._planning.go_on(self._planned, snapshot, [answer])
        await self._planning.go_on(refuse_secrets, snapshot, plan.operations)
        return Written(plan, snapshot.revision)

    async def write(self, answers: Sequence[Answer], actor: str = ACTOR) -> list[Written]:
        """Write all answers; what cannot be imported is recorded as its source's failure. Errors: StorageError."""
        left, done, tries = list(answers), [], 0
        while left:
            try:
                written, left = await self._write_together(left, actor)
            except (PreconditionFailed, Conflict) as error:
                tries += 1
                if tries == _TRIES:
                    done += await self._one_by_one(left, actor, error)
                    break
                await self._registry.refresh()
            except StorageError:
                raise
            except RegistryError as error:
                done += await self._one_by_one(left, actor, error)
                break
            else:
                done += written
        return done

    async def _write_together(self, answers: list[Answer], actor: str) -> tuple[list[Written], list[Answer]]:
        """Write those of the answers that touch different rows. Returns them, and the others."""
        plans = await self._planning.go_on(self._planned, self._registry.snapshot, answers)
        now, later = together(plans)
        revision = self._registry.snapshot.revision
        for operations in _writes(now):
            revision = await self._registry.write(operations, actor=actor)
        return [Written(plan, revision) for plan in now], [plan.answer for plan in later]

    async def _one_by_one(self, answers: list[Answer], actor: str, error: RegistryError) -> list[Written]:
        """Write each alone, so that one that is refused keeps no other back."""
        if len(answers) > 1:
            return [written for answer in answers for written in await self.write([answer], actor)]
        (answer,) = answers
        if answer.content is None:
            raise error  # not even its failure can be recorded
        known = self._registry.snapshot.source_answers.get(answer.source.id)
        return await self.write([failure(answer, error, partly=known is not None and known.error == BEGUN)], actor)

    def _planned(self, snapshot: Snapshot, answers: Sequence[Answer]) -> list[AnswerPlan]:
        planner = AnswerPlanner(snapshot, datetime.now(UTC).isoformat(), self._new_id, self._fault, MOST_OPERATIONS)
        plans = []
        for answer in answers:
            try:
                plans.append(planner.plan(answer))
            except RegistryError as error:
                plans.append(planner.plan(failure(answer, error)))
        return plans


def _writes(plans: Iterable[AnswerPlan]) -> Iterator[list[Operation]]:
    """Divide what plans write. Only a plan that is too long by itself is cut, and its source says so until the end."""
    together: list[Operation] = []
    for plan in plans:
        pieces = [plan.operations]
        if len(plan.operations) > MOST_OPERATIONS:
            every = range(0, len(plan.operations), MOST_OPERATIONS)
            pieces = [plan.operations[at : at + MOST_OPERATIONS] for at in every]
        for piece in pieces:
            if len(together) + len(piece) > MOST_OPERATIONS:
                yield together
                together = []
            together += piece
    if together:
        yield together
