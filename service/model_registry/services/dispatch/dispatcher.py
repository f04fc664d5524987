"""Send a request to one of its targets, and to another one where that is allowed: the loop around `attempt.py`.

What is decided is decided by the pure parts beside this file: who gets it (`balancer.py`), and whether it is sent again
(`attempts.py`). Database and NATS are not asked: targets come with the plan, from the snapshot.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from model_registry.errors import (
    DispatchError,
    Invalid,
    NoInstance,
    OutcomeUnknown,
    QueueFull,
    Reason,
    UpstreamFailed,
    UpstreamTimeout,
)
from model_registry.http11.connections import Connections
from model_registry.http11.errors import InvalidRequest
from model_registry.services.dispatch.answer import Answer, service_name
from model_registry.services.dispatch.attempt import Attempt
from model_registry.services.dispatch.attempts import GiveUp, Retry, RetryBudget, next_step
from model_registry.services.dispatch.balancer import Balancer
from model_registry.services.dispatch.caller_body import CallerBody
from model_registry.services.dispatch.header_rules import Header
from model_registry.services.dispatch.lease import Lease
from model_registry.services.dispatch.plan import Plan
from model_registry.services.dispatch.targets import Outcome, Target, Unavailable
from model_registry.services.dispatch.waiting import WaitingRequests

_MOST_BUDGETS: Final = 10_000


@dataclass(slots=True)
class _Course:
    """What a request has met so far."""

    plan: Plan
    tried: set[str]
    reasons: list[Reason]
    tries: int = 0
    sent: bool = False


class Dispatcher:
    """The dispatcher of one replica. Its limits hold for this replica alone."""

    def __init__(
        self,
        balancer: Balancer,
        connections: Connections,
        *,
        key_of: Callable[[str], str | None] = lambda _name: None,
        retry_delay: float = 1.0,
        tried: Callable[[Plan, Target, Outcome], None] = lambda _plan, _target, _outcome: None,
    ) -> None:
        """Put it together; nothing runs by itself.

        Args:
            balancer: Of this replica.
            connections: To upstreams.
            key_of: Gives the value of the environment variable that a target names.
            retry_delay: The longest pause before another try, seconds.
            tried: Called with every failed try.
        """
        self.balancer = balancer
        self.waiting = WaitingRequests(self._pick, self._give_back)
        self._connections = connections
        self._key_of = key_of
        self._retry_delay = retry_delay
        self._tried = tried
        self._budgets: dict[str, RetryBudget] = {}

    async def aclose(self) -> None:
        """Close idle connections."""
        await self._connections.aclose()

    async def dispatch(self, plan: Plan, headers: list[Header]) -> Answer:
        """Send it, and return when the head of a response is there that the caller is to have.

        `headers` are those that an upstream gets (`header_rules.request_headers`). Retries, time-outs and what the
        caller sees are in the plan; nothing is sent twice but what `attempts.next_step` allows. Cancelled, it closes
        the upstream's connection at once.

        Errors: NoInstance (nothing was sent), QueueFull (the same), UpstreamFailed, UpstreamTimeout, OutcomeUnknown (it
        may have been carried out, and must not be repeated), Invalid.
        """
        course = _Course(plan, set(), [])
        self._budget(plan.name).note_request(time.monotonic())
        found = self._pick(plan, course.tried)
        lease = found if isinstance(found, Lease) else await self._place(course, found)
        while True:
            attempt = Attempt(plan, lease, self._for(lease.target, headers))
            answered = False
            try:
                outcome = await self._try(course, attempt)
                if outcome.kind == "ok":
                    answered = True
                    return self._answer(course, attempt)
                step = self._next_step(course, outcome)
                following = self._pick(plan, course.tried) if isinstance(step, Retry) and not step.after else None
                if isinstance(step, GiveUp) or (isinstance(following, Unavailable) and not following.wait):
                    if outcome.kind == "status":
                        answered = True
                        return self._answer(course, attempt)
                    raise self._failure(course, outcome)
            finally:
                if not answered:
                    attempt.close()
                    self.waiting.look()
            lease = following if isinstance(following, Lease) else await self._later(course, step.after)

    async def _try(self, course: _Course, attempt: Attempt) -> Outcome:
        course.tries += 1
        if course.plan.before_sending is not None:
            await course.plan.before_sending(attempt.target)
        try:
            outcome = await attempt.begin(self._connections)
        except InvalidRequest as error:
            raise Invalid(f"The request cannot be sent on: {error}.") from error
        course.sent = course.sent or attempt.sent
        if outcome.kind != "ok":
            course.tried.add(attempt.target.key)
            course.reasons.append(Reason(service_name(attempt.target), attempt.reason))
            self._tried(course.plan, attempt.target, outcome)
        return outcome

    def _next_step(self, course: _Course, outcome: Outcome) -> Retry | GiveUp:
        plan, body = course.plan, course.plan.body
        others = any(
            target.accepts and plan.capability in target.capabilities and target.key not in course.tried
            for target in plan.targets
        )
        step = next_step(
            outcome,
            sent=course.sent,
            first_byte=False,
            repeatable=plan.repeatable and not (isinstance(body, CallerBody) and not body.replayable),
            tries=course.tries,
            most_tries=plan.most_tries,
            budget=self._budget(plan.name),
            now=time.monotonic(),
            others=others,
            delay=self._retry_delay,
            chance=random.random(),  # noqa: S311 (spreads retries)
        )
        if isinstance(step, GiveUp) or not step.after:
            return step
        if (outcome.retry_after or 0.0) > self._retry_delay:
            return GiveUp("answered")  # the caller learns when to come back, and does not hang until then
        return Retry(min(step.after, self._retry_delay))

    def _answer(self, course: _Course, attempt: Attempt) -> Answer:
        return Answer(attempt, course.tries, self.waiting.look)

    async def _place(self, course: _Course, found: Lease | Unavailable) -> Lease:
        """The place that was found, or waited for. Errors: NoInstance, QueueFull."""
        if isinstance(found, Unavailable) and found.wait:
            found = await self.waiting.wait(course.plan, course.tried, found)
        if isinstance(found, Unavailable):
            raise self._nobody(course, found)
        return found

    async def _later(self, course: _Course, seconds: float) -> Lease:
        """The next target, when it is not there at once: one not tried that is full, or after a pause any."""
        if seconds:
            await asyncio.sleep(seconds)
            course.tried.clear()
        return await self._place(course, self._pick(course.plan, course.tried))

    def _pick(self, plan: Plan, tried: Collection[str]) -> Lease | Unavailable:
        return self.balancer.pick(
            plan.targets,
            plan.capability,
            strategy=plan.strategy,
            now=time.monotonic(),
            tried=tried,
            sticky=plan.sticky,
            repeatable=plan.repeatable,
        )

    def _give_back(self, lease: Lease) -> None:
        lease.finish(Outcome("client_left"), time.monotonic())
        self.waiting.look()

    def _for(self, target: Target, headers: list[Header]) -> list[Header]:
        """The headers for a target: with the key that it wants."""
        if target.authorisation_variable is None:
            return headers
        key = self._key_of(target.authorisation_variable)
        if key is None:
            return headers
        return [*headers, (b"authorization", b"Bearer " + key.encode())]

    def _budget(self, name: str) -> RetryBudget:
        budget = self._budgets.get(name)
        if budget is None:
            if len(self._budgets) >= _MOST_BUDGETS:
                self._budgets.clear()
            budget = self._budgets[name] = RetryBudget()
        return budget

    def _nobody(self, course: _Course, unavailable: Unavailable) -> DispatchError:
        """No target can take it now, with the reason of each."""
        plan, now = course.plan, time.monotonic()
        reasons = _one_each(course.reasons)
        for target in plan.targets:
            if target.key in course.tried:
                continue
            view = self.balancer.view(target.key, now)
            state = "it is draining or retired" if not target.accepts else view.reason or view.state
            if plan.capability not in target.capabilities:
                state = f"it does not have the capability {plan.capability}"
            reasons.append(Reason(service_name(target), state))
        message = f"{plan.name}: {unavailable.message}."
        kind = QueueFull if unavailable.reason == "full" else NoInstance
        return kind(message, reasons=reasons, retry_after=max(1, round(unavailable.retry_after)))

    def _failure(self, course: _Course, outcome: Outcome) -> DispatchError:
        """What the caller gets when no response is there."""
        plan, last = course.plan, course.reasons[-1]
        reasons = _one_each(course.reasons)
        if not course.sent:
            message = f"{plan.name}: no instance could be reached."
            return NoInstance(message, reasons=reasons, retry_after=1, attempts=course.tries)
        facts = {"attempts": course.tries, "service": last.where}
        if not plan.repeatable:
            message = (
                f"{plan.name}: the request was sent to {last.where}, which gave no answer ({last.message}). Whether it "
                "was carried out is unknown, so it is not sent again."
            )
            return OutcomeUnknown(message, reasons=reasons, **facts)
        tries = "1 try" if course.tries == 1 else f"{course.tries} tries"
        if outcome.kind == "timeout":
            return UpstreamTimeout(f"{plan.name}: no answer in time, after {tries}.", reasons=reasons, **facts)
        return UpstreamFailed(f"{plan.name}: no answer, after {tries}.", reasons=reasons, **facts)


def _one_each(reasons: list[Reason]) -> list[Reason]:
    """The last reason of each target."""
    return list({reason.where: reason for reason in reasons}.values())
