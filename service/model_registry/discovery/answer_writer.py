"""Writes answers: those that come together in one write, as far as they do not touch the same rows.

A list of thousands of models takes several.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from model_registry.catalog.secret_check import refuse_secrets
from model_registry.discovery.answer_plan import Answer, AnswerPlan, AnswerPlanner, failure, together
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
        operations = [operation for plan in now for operation in plan.operations]
        revision = self._registry.snapshot.revision
        # The row of an answer comes after its models: what breaks off in between is planned anew from where it is.
        for start in range(0, len(operations), MOST_OPERATIONS):
            revision = await self._registry.write(operations[start : start + MOST_OPERATIONS], actor=actor)
        return [Written(plan, revision) for plan in now], [plan.answer for plan in later]

    async def _one_by_one(self, answers: list[Answer], actor: str, error: RegistryError) -> list[Written]:
        """Write each alone, so that one that is refused keeps no other back."""
        if len(answers) > 1:
            return [written for answer in answers for written in await self.write([answer], actor)]
        (answer,) = answers
        if answer.content is None:
            raise error  # not even its failure can be recorded
        return await self.write([failure(answer, error)], actor)

    def _planned(self, snapshot: Snapshot, answers: Sequence[Answer]) -> list[AnswerPlan]:
        planner = AnswerPlanner(snapshot, datetime.now(UTC).isoformat(), self._new_id, self._fault)
        plans = []
        for answer in answers:
            try:
                plans.append(planner.plan(answer))
            except RegistryError as error:
                plans.append(planner.plan(failure(answer, error)))
        return plans
