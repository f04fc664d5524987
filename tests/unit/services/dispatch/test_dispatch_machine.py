"""Requests, failures and health checks in any order: each decision must be one that the plain rules allow.

The rules are in `support/dispatch_rules.py`. Run it with `--hypothesis-profile=local` when you change a decision.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import get_args

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from model_registry.entities.model_service import Strategy
from model_registry.services.dispatch.attempts import GiveUp, Retry, RetryBudget, next_step
from model_registry.services.dispatch.balancer import Balancer
from model_registry.services.dispatch.lease import Lease
from model_registry.services.dispatch.targets import Outcome, ProbeResult, Target, Unavailable
from support.dispatch_rules import (
    Answered,
    Event,
    Probed,
    Sent,
    breaker_of,
    condition,
    connections_of,
    in_flight,
    paused_until,
    state_of,
)
from support.profiles import steps_of_machines

CAPABILITIES = ["prediction", "training"]
MOST_TRIES = 2
BUDGET = 4
"""Retries in ten seconds, and one more for each five requests."""

OUTCOMES = {
    "ok": (Outcome("ok", 200), "good", "good"),
    "404": (Outcome("status", 404), "good", "good"),
    "500": (Outcome("status", 500), "good", "bad"),
    "503": (Outcome("status", 503), "good", "bad"),
    "hung up": (Outcome("broken"), "good", "bad"),
    "timed out": (Outcome("timeout"), "good", "bad"),
    "refused": (Outcome("not_connected"), "bad", "nothing"),
    "429": (Outcome("status", 429), "good", "nothing"),
    "429, back in 3 s": (Outcome("status", 429, retry_after=3), "good", "nothing"),
    "503, back in a day": (Outcome("status", 503, retry_after=86_400), "good", "nothing"),
    "caller left": (Outcome("client_left"), "nothing", "nothing"),
    "refused by us": (Outcome("refused_by_us"), "nothing", "nothing"),
}
"""What can happen, and what it says about the connection and about the capability."""
PAUSES = {"429": 1.0, "429, back in 3 s": 3.0, "503, back in a day": 86_400.0}
FINAL = {"ok", "404", "caller left", "refused by us"}
PROBES = {
    "ok": ProbeResult("ok", 200),
    "timeout": ProbeResult("timeout"),
    "refused": ProbeResult("refused"),
    "500": ProbeResult("status", 500),
    "401": ProbeResult("status", 401),
    "503": ProbeResult("status", 503),
}
FAILING = [name for name in OUTCOMES if name in {"500", "503", "hung up", "timed out", "refused"}]


@dataclass
class Request:
    """One request of a caller."""

    number: int
    capability: str
    repeatable: bool
    tried: set[str] = field(default_factory=set)
    tries: int = 0
    times_sent: int = 0
    lease: Lease | None = None
    wakes: float = float("inf")


class Dispatch(RuleBasedStateMachine):
    """Up to four targets, each with all that ever happened to it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.balancer = Balancer(idle_seconds=float("inf"))
        self.budget = RetryBudget(share=0.2, per_second=BUDGET / 10)
        self.events: dict[str, list[Event]] = defaultdict(list)
        self.requests: list[Request] = []
        self.retries: list[float] = []
        self.arrived: list[float] = []
        self.sends = 0

    @initialize(
        strategy=st.sampled_from(get_args(Strategy)),
        shapes=st.lists(
            st.tuples(
                st.sampled_from([0, 0, 1]),
                st.sampled_from([None, 1, 2]),
                st.sampled_from([0.0, 20.0]),
                st.sampled_from([1.0, 3.0]),
            ),
            min_size=1,
            max_size=4,
        ),
    )
    def register(self, strategy: Strategy, shapes: list[tuple[int, int | None, float, float]]) -> None:
        self.strategy: Strategy = strategy
        self.targets = {
            name: Target(
                name,
                f"http://{name}.example",
                frozenset(CAPABILITIES if name != "d" else CAPABILITIES[:1]),
                weight=weight,
                tier=tier,
                max_concurrent=most,
                grace_seconds=grace,
            )
            for name, (tier, most, grace, weight) in zip("abcd", shapes, strict=False)
        }

    @rule(
        capability=st.sampled_from(CAPABILITIES),
        repeatable=st.lists(st.booleans(), min_size=1, max_size=4),
    )
    def send(self, capability: str, repeatable: list[bool]) -> None:
        for one in repeatable:
            self.send_one(capability, repeatable=one)

    def send_one(self, capability: str, *, repeatable: bool, tried: Collection[str] = ()) -> Request:
        self.budget.note_request(self.now)
        self.arrived.append(self.now)
        request = Request(len(self.requests), capability, repeatable, set(tried))
        self.requests.append(request)
        self.try_once(request)
        return request

    @precondition(lambda self: self.under_way())
    @rule(data=st.data(), happened=st.sampled_from(sorted(OUTCOMES)), first_byte=st.booleans())
    def end(self, data: st.DataObject, happened: str, first_byte: bool) -> None:  # noqa: FBT001 (drawn)
        self.end_one(data.draw(st.sampled_from(self.under_way())), happened, first_byte=first_byte)

    @rule(
        key=st.sampled_from("abcd"),
        capability=st.sampled_from(CAPABILITIES),
        happened=st.sampled_from(FAILING),
        row=st.sampled_from([(5, 0.0), (4, 0.0), (1, 0.0), (12, 8.0)]),
        after=st.sampled_from([1.0, 0.5, 2.0, 0.0]),
    )
    def fail_in_a_row(self, key: str, capability: str, happened: str, row: tuple[int, float], after: float) -> None:
        """What ejects: requests that can go to no other target fail there. Then some time passes."""
        times, between = row
        for _ in range(times):
            request = self.send_one(capability, repeatable=False, tried=set("abcd") - {key})
            if request.lease is not None:
                self.end_one(request, happened, first_byte=True)
            self.wait(between)
        self.wait(after)

    @rule(capability=st.sampled_from(CAPABILITIES), happened=st.sampled_from(FAILING), times=st.integers(1, 4))
    def fail_everywhere(self, capability: str, happened: str, times: int) -> None:
        """Requests that may be repeated fail wherever they go."""
        for _ in range(times):
            request = self.send_one(capability, repeatable=True)
            while request.lease is not None:
                self.end_one(request, happened, first_byte=False)

    @precondition(lambda self: self.under_way())
    @rule(happened=st.sampled_from(["ok", "caller left", "hung up"]))
    def end_all(self, happened: str) -> None:
        for request in self.under_way():
            self.end_one(request, happened, first_byte=True)

    @precondition(lambda self: self.under_way())
    @rule(data=st.data())
    def begin_response(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(self.under_way()))
        assert request.lease is not None
        request.lease.began(self.now)
        self.record(request, Answered(self.now, request.number, request.capability, "good", "good", ended=False))

    @rule(
        key=st.sampled_from("abcd"),
        kinds=st.lists(st.sampled_from([*sorted(PROBES), "a request", "an answer"]), min_size=1, max_size=4),
        seconds=st.sampled_from([0.0, 12.0]),
    )
    def probe(self, key: str, kinds: list[str], seconds: float) -> None:
        """Health checks, and between them requests to the same target."""
        for kind in kinds if key in self.targets else ():
            if kind in PROBES:
                self.balancer.probed(self.targets[key], PROBES[kind], self.now)
                self.events[key].append(Probed(self.now, kind, self.targets[key].grace_seconds))  # type: ignore[arg-type]
            else:
                request = self.send_one("prediction", repeatable=True, tried=set("abcd") - {key})
                if request.lease is not None and kind == "an answer":
                    self.end_one(request, "ok", first_byte=False)
            self.wait(seconds)

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0, 8.0, 12.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for request in self.requests:
            if request.wakes <= self.now:
                request.wakes = float("inf")
                self.try_once(request)

    @rule(key=st.sampled_from("abcd"))
    def drain_or_resume(self, key: str) -> None:
        if key in self.targets:
            old = self.targets[key]
            fields = {name: getattr(old, name) for name in ("weight", "tier", "max_concurrent", "grace_seconds")}
            self.targets[key] = Target(key, old.url, old.capabilities, **fields, accepts=not old.accepts)

    # What the rules say.

    def under_way(self) -> list[Request]:
        return [request for request in self.requests if request.lease is not None]

    def conditions(self, request: Request) -> dict[str, str]:
        """Each target that could take the request at all, and what can be done with it."""
        return {
            key: condition(self.events[key], request.capability, target.max_concurrent, self.now)
            for key, target in self.targets.items()
            if target.accepts and request.capability in target.capabilities and key not in request.tried
        }

    def try_once(self, request: Request) -> None:
        able = self.conditions(request)
        picked = self.balancer.pick(
            list(self.targets.values()),
            request.capability,
            strategy=self.strategy,
            now=self.now,
            tried=request.tried,
            sticky=f"user-{request.number % 3}",
            repeatable=request.repeatable,
        )
        if isinstance(picked, Unavailable):
            self.check_refusal(picked, able)
            return
        self.check_choice(picked, able, request)
        request.lease = picked
        request.tried.add(picked.target.key)
        request.tries += 1
        self.sends += 1
        request.number = self.sends  # a try's number, by which its end is recognised
        self.record(request, Sent(self.now, request.number, request.capability))

    def check_refusal(self, refused: Unavailable, able: dict[str, str]) -> None:
        """Nothing is refused while any target could take it; waiting is worth it only for a place."""
        could = set(able.values())
        assert not could & {"free", "busy", "test"}
        assert not could & {"ejected", "testing"} or "full" in could
        assert refused.wait == (refused.reason == "full") == bool(could & {"full", "ejected full"})
        assert (refused.reason == "rate_limited") == ("paused" in could and not refused.wait)
        assert refused.retry_after > 0

    def check_choice(self, lease: Lease, able: dict[str, str], request: Request) -> None:
        """The target may be sent to, is of the best tier there is, and is a last resort only if none works."""
        key = lease.target.key
        found = able[key]
        working = {name for name, what in able.items() if what in {"free", "busy", "test"}}
        assert found not in {"full", "paused", "ejected full"}
        assert lease.last_resort == (found in {"ejected", "testing"})
        if lease.last_resort:
            assert not working
            assert "full" not in able.values()
            assert found == "ejected" or "ejected" not in able.values()
            same = {name for name, what in able.items() if what == found}
        else:
            same = working
        tier = min(self.targets[name].tier for name in same)
        assert lease.target.tier == tier
        assert lease.test == self.test_is_due(key, request.capability)
        if lease.last_resort or self.strategy == "sticky":
            return
        beside = {able[name] for name in working if self.targets[name].tier == tier}
        if found == "busy":
            assert "free" not in beside
        if found != "test":
            assert "test" not in beside or len(request.tried) or not request.repeatable
        elif request.tried:
            assert beside == {"test"}

    def test_is_due(self, key: str, capability: str) -> bool:
        events = self.events[key]
        return "one" in {
            breaker_of(events, capability).lets_through(self.now),
            connections_of(events).lets_through(self.now),
        }

    def end_one(self, request: Request, happened: str, *, first_byte: bool) -> None:
        lease = request.lease
        assert lease is not None
        request.lease = None
        outcome, connection, answer = OUTCOMES[happened]
        lease.finish(outcome, self.now)
        lease.finish(Outcome("timeout"), self.now)  # changes nothing
        pause = PAUSES.get(happened)
        ended = Answered(self.now, request.number, request.capability, connection, answer, pause)  # type: ignore[arg-type]
        self.events[lease.target.key].append(ended)
        request.times_sent += happened != "refused"
        first_byte = first_byte and happened in {"hung up", "timed out"}
        step = next_step(
            outcome,
            sent=request.times_sent > 0,
            first_byte=first_byte,
            repeatable=request.repeatable,
            tries=request.tries,
            most_tries=MOST_TRIES,
            budget=self.budget,
            now=self.now,
            others=bool(self.conditions(request)),
        )
        self.check_step(step, request, happened, first_byte=first_byte)
        if isinstance(step, Retry):
            if request.times_sent:
                self.retries.append(self.now)
            if step.after == 0:
                self.try_once(request)
            else:
                request.tried = set()
                request.wakes = self.now + step.after

    def check_step(self, step: Retry | GiveUp, request: Request, happened: str, *, first_byte: bool) -> None:
        """Sent again: what was not sent, to any that is left; what was, only if it does no harm, and in moderation."""
        sent, others = request.times_sent > 0, bool(self.conditions(request))
        may = happened not in FINAL and not first_byte and (request.repeatable or not sent)
        if not may:
            assert isinstance(step, GiveUp)
        elif not sent and others:
            assert step == Retry(0.0)
        elif request.tries >= MOST_TRIES:
            assert step == GiveUp("most_tries")
        elif sent and not self.budget_left():
            assert step == GiveUp("retry_budget")
        else:
            assert isinstance(step, Retry)
            assert (step.after == 0) == others
            assert step.after >= (OUTCOMES[happened][0].retry_after or 0) or others

    def budget_left(self) -> bool:
        lately = int(self.now) - 10
        requests = sum(int(at) > lately for at in self.arrived)
        return sum(int(at) > lately for at in self.retries) + 1 <= BUDGET + 0.2 * requests

    def record(self, request: Request, event: Event) -> None:
        assert request.lease is not None
        self.events[request.lease.target.key].append(event)

    @invariant()
    def what_is_shown_is_so(self) -> None:
        for key, target in getattr(self, "targets", {}).items():
            events = self.events[key]
            view = self.balancer.view(key, self.now)
            breakers = [connections_of(events), *(breaker_of(events, one) for one in CAPABILITIES)]
            assert view.state == state_of(events, CAPABILITIES, self.now)
            assert view.in_flight == in_flight(events)
            assert target.max_concurrent is None or view.in_flight <= target.max_concurrent
            assert view.testing == any(breaker.test is not None for breaker in breakers)
            assert (view.breaker == "closed") == (not any(breaker.open for breaker in breakers))
            pauses = [paused_until(events, one) - self.now for one in CAPABILITIES]
            assert view.cooldown_seconds == max(0.0, *pauses)
            assert 0.1 <= view.ramp <= 1

    @invariant()
    def nothing_is_sent_twice_that_must_not_be(self) -> None:
        for request in self.requests:
            under_way = request.lease is not None and request.times_sent > 0
            assert request.repeatable or request.times_sent + under_way <= 1

    def teardown(self) -> None:
        """What is under way ends, and leaves no place taken."""
        for request in self.under_way():
            self.end_one(request, "ok", first_byte=False)
        for key in getattr(self, "targets", {}):
            assert self.balancer.view(key, self.now).in_flight == 0


def test_every_decision_is_one_that_the_rules_allow() -> None:
    run_state_machine_as_test(Dispatch, settings=steps_of_machines())
