"""Which target a request goes to, over the life of the targets."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from model_registry.services.dispatch.balancer import Balancer
from model_registry.services.dispatch.lease import Lease
from model_registry.services.dispatch.targets import Outcome, ProbeResult, Target, Unavailable

OK = Outcome("ok", 200)
FAILED = Outcome("status", 500)
REFUSED = Outcome("not_connected")


def target(name: str, **fields: Any) -> Target:
    return Target(name, f"http://{name}.example", **{"capabilities": frozenset({"prediction"}), **fields})


A, B, C = (target(name) for name in "abc")


def lease(balancer: Balancer, *targets: Target, now: float = 0.0, **options: Any) -> Lease:
    picked = balancer.pick(targets, "prediction", **{"strategy": "round_robin", "now": now, **options})
    assert isinstance(picked, Lease), picked
    return picked


def refusal(balancer: Balancer, *targets: Target, now: float = 0.0, **options: Any) -> Unavailable:
    picked = balancer.pick(targets, "prediction", **{"strategy": "round_robin", "now": now, **options})
    assert isinstance(picked, Unavailable), picked
    return picked


def send(balancer: Balancer, *targets: Target, outcome: Outcome = OK, now: float = 0.0, **options: Any) -> str:
    """Where a request goes, which ends at once."""
    taken = lease(balancer, *targets, now=now, **options)
    taken.finish(outcome, now)
    return taken.target.key


def eject(balancer: Balancer, *targets: Target, now: float = 0.0) -> None:
    for one in targets:
        for _ in range(5):
            send(balancer, one, outcome=FAILED, now=now)


def test_round_robin_takes_turns() -> None:
    balancer = Balancer()

    assert [send(balancer, A, B, C) for _ in range(6)] == ["a", "b", "c"] * 2


def test_weights_are_kept_smoothly() -> None:
    balancer, heavy = Balancer(), target("a", weight=5)

    assert "".join(send(balancer, heavy, B, C, strategy="weighted") for _ in range(7)) == "aabacaa"


def test_the_least_loaded_is_picked_by_its_weight() -> None:
    balancer, heavy = Balancer(), target("a", weight=3)

    taken = [lease(balancer, heavy, B, strategy="least_loaded").target.key for _ in range(8)]

    assert Counter(taken) == {"a": 6, "b": 2}


@pytest.mark.parametrize("strategy", ["weighted", "least_loaded", "sticky"])
@pytest.mark.parametrize("weight", [0.0, 5e-324])
def test_a_weight_of_nothing_gets_requests_only_while_no_other_can_take_them(strategy: str, weight: float) -> None:
    balancer, weightless = Balancer(), target("a", weight=weight)

    sent = [send(balancer, weightless, B, C, strategy=strategy, sticky=f"user-{n}") for n in range(50)]

    assert set(sent) == {"b", "c"}
    eject(balancer, weightless)
    balancer.probed(weightless, ProbeResult("ok"), 1.0)  # a tenth of so little is 0
    for among in ((weightless,), (weightless, target("d", weight=weight))):
        assert send(balancer, *among, strategy=strategy, sticky="user", now=20.0)


def test_the_least_loaded_of_those_without_weight_take_turns() -> None:
    balancer, weightless = Balancer(), [target(name, weight=0.0) for name in "ab"]

    assert "".join(send(balancer, *weightless, strategy="least_loaded") for _ in range(4)) == "abab"


def test_to_fail_fast_attracts_no_requests() -> None:
    balancer = Balancer()
    sent: Counter[str] = Counter()
    for tick in range(1000):
        taken = lease(balancer, A, B, strategy="least_loaded", now=tick / 100)
        sent[taken.target.key] += 1
        broken = taken.target is A and sent["a"] % 2  # never five in a row
        taken.finish(FAILED if broken else OK, tick / 100)

    assert sent["a"] < 100


def test_requests_stick_and_few_move_when_a_target_goes() -> None:
    balancer = Balancer()
    users = [f"user-{number}" for number in range(600)]

    def places(*targets: Target) -> dict[str, str]:
        return {user: send(balancer, *targets, strategy="sticky", sticky=user) for user in users}

    before, after = places(A, B, C), places(A, B)

    assert before == places(C, A, B)
    assert all(before[user] in {"c", after[user]} for user in users)
    assert all(150 < share < 250 for share in Counter(before.values()).values())


def test_no_more_than_max_concurrent_and_then_waiting_is_worth_it() -> None:
    balancer, small = Balancer(), target("a", max_concurrent=2)
    held = [lease(balancer, small), lease(balancer, small)]

    full = refusal(balancer, small)
    held[0].finish(OK, 0.0)
    held[0].finish(OK, 0.0)

    assert (full.reason, full.wait) == ("full", True)
    assert send(balancer, small) == "a"
    lease(balancer, small)
    assert balancer.view("a", 0.0).in_flight == 2
    assert refusal(balancer, small).reason == "full"


def test_the_next_tier_is_for_when_the_first_cannot_take_it() -> None:
    balancer, first, second = Balancer(), target("a", max_concurrent=1), target("b", tier=1)

    held = lease(balancer, second, first)
    assert held.target is first
    assert send(balancer, second, first) == "b"
    held.finish(OK, 0.0)
    assert send(balancer, second, first) == "a"
    eject(balancer, first)
    assert send(balancer, second, first) == "b"


def test_five_failures_eject_and_one_test_brings_back() -> None:
    balancer = Balancer()
    eject(balancer, A)
    assert {send(balancer, A, B, now=0.9) for _ in range(9)} == {"b"}

    test = lease(balancer, A, B, now=1.0)

    assert (test.target, test.test) == (A, True)
    assert {send(balancer, A, B, now=5.0) for _ in range(9)} == {"b"}
    test.finish(OK, 6.0)
    assert not balancer.view("a", 6.0).testing
    assert "a" in {send(balancer, A, B, now=6.5) for _ in range(30)}


def test_requests_come_back_gradually_after_a_recovery() -> None:
    balancer = Balancer()
    eject(balancer, A)
    send(balancer, A, B, now=1.0)

    shares = [sum(send(balancer, A, B, now=now) == "a" for _ in range(200)) for now in (1.0, 6.0, 11.0)]

    assert shares[0] < 25 < shares[1] < 75 < shares[2]
    assert balancer.view("a", 6.0).ramp == pytest.approx(0.5)


def test_a_long_response_that_has_begun_has_passed_the_test() -> None:
    balancer = Balancer()
    eject(balancer, A)
    streaming = lease(balancer, A, B, now=1.0)

    streaming.began(1.1)

    assert balancer.view("a", 1.1).breaker == "closed"
    assert balancer.view("a", 1.1).in_flight == 1


def test_what_cannot_be_repeated_is_not_put_at_risk_by_a_test() -> None:
    balancer = Balancer()
    eject(balancer, A)

    assert not lease(balancer, A, B, now=1.0, tried={"c"}).test
    assert sum(lease(balancer, A, B, now=1.0, repeatable=False).test for _ in range(10)) <= 1


def test_a_refused_connection_ejects_at_once_for_all_capabilities() -> None:
    balancer = Balancer()
    send(balancer, A, outcome=REFUSED)

    assert {send(balancer, A, B) for _ in range(4)} == {"b"}
    assert balancer.view("a", 0.0).state == "offline"
    assert send(balancer, A, B, now=1.0) == "a"
    assert balancer.view("a", 1.0).state == "healthy"


def test_training_may_fail_where_predictions_work() -> None:
    both = target("a", capabilities=frozenset({"prediction", "training"}))
    balancer = Balancer()
    for _ in range(5):
        picked = balancer.pick([both], "training", strategy="round_robin", now=0.0)
        assert isinstance(picked, Lease)
        picked.finish(FAILED, 0.0)

    assert not lease(balancer, both).last_resort
    assert balancer.view("a", 0.0).state == "degraded"
    assert "training" in balancer.view("a", 0.0).reason


def test_a_pause_that_was_asked_for_is_no_failure() -> None:
    balancer = Balancer()
    for _ in range(9):
        send(balancer, A, outcome=Outcome("status", 429, retry_after=0.0))
    send(balancer, A, outcome=Outcome("status", 503, retry_after=20.0))

    assert {send(balancer, A, B, now=19.0) for _ in range(4)} == {"b"}
    paused = refusal(balancer, A, now=15.0)
    assert (paused.reason, paused.retry_after, paused.wait) == ("rate_limited", 5.0, False)
    assert balancer.view("a", 15.0).state == "rate-limited"
    assert balancer.view("a", 20.0).state == "healthy"
    assert {send(balancer, A, B, now=20.0) for _ in range(4)} == {"a", "b"}


def test_a_pause_is_five_minutes_at_most() -> None:
    balancer = Balancer()
    send(balancer, A, outcome=Outcome("status", 429, retry_after=86_400.0))

    assert refusal(balancer, A).retry_after == 300


def test_the_last_ones_are_tried_although_they_look_broken_and_that_is_reported() -> None:
    balancer = Balancer()
    eject(balancer, A, B)

    taken = [lease(balancer, A, B, now=0.5) for _ in range(4)]

    assert {one.target.key for one in taken} == {"a", "b"}
    assert all(one.last_resort for one in taken)
    assert "no other" in balancer.view("a", 0.5).reason
    taken[0].finish(OK, 0.6)
    assert not lease(balancer, A, B, now=0.6).last_resort


def test_one_that_works_and_is_full_is_waited_for_rather_than_a_broken_one_tried() -> None:
    balancer, small = Balancer(), target("b", max_concurrent=1)
    eject(balancer, A)
    lease(balancer, A, small)

    assert refusal(balancer, A, small).wait


def test_busy_ones_wait_until_no_other_is_left() -> None:
    balancer = Balancer()
    trainer = target("a", grace_seconds=600)
    balancer.probed(trainer, ProbeResult("timeout"), 0.0)

    assert balancer.view("a", 0.0).state == "busy"
    assert {send(balancer, trainer, B) for _ in range(4)} == {"b"}
    assert send(balancer, trainer, B, tried={"b"}) == "a"


def test_one_whose_event_loop_is_blocked_is_tested_when_it_answers_health_checks_again() -> None:
    balancer, trainer = Balancer(), target("a", grace_seconds=600)
    for _ in range(5):
        send(balancer, trainer, outcome=Outcome("timeout"))
    balancer.probed(trainer, ProbeResult("timeout"), 0.0)

    assert {send(balancer, trainer, B, now=30.0) for _ in range(4)} == {"b"}
    balancer.probed(trainer, ProbeResult("ok"), 30.0)
    assert send(balancer, trainer, B, now=30.0) == "a"


def test_a_test_is_due_at_once_when_a_health_check_works_again() -> None:
    balancer = Balancer()
    for start in (0.0, 1.0, 3.0, 7.0):
        for _ in range(5):
            send(balancer, A, outcome=FAILED, now=start)
    balancer.probed(A, ProbeResult("status", 500), 7.0)

    assert {send(balancer, A, B, now=9.0) for _ in range(4)} == {"b"}
    balancer.probed(A, ProbeResult("ok"), 9.0)
    assert send(balancer, A, B, now=9.0) == "a"


def test_one_that_is_busy_for_long_is_tested_now_and_then() -> None:
    balancer, trainer = Balancer(), target("a", grace_seconds=600)
    for _ in range(5):
        send(balancer, trainer, outcome=Outcome("timeout"))
    balancer.probed(trainer, ProbeResult("timeout"), 0.0)

    assert send(balancer, trainer, B, now=61.0) == "a"


def test_a_key_of_ours_that_is_refused_is_a_mistake_of_configuration() -> None:
    balancer = Balancer()
    ours, callers = target("a", authorisation_variable="KEY"), target("b")
    for _ in range(5):
        send(balancer, ours, outcome=Outcome("status", 401))
        send(balancer, callers, outcome=Outcome("status", 401))

    assert balancer.view("a", 0.0).state == "misconfigured"
    assert balancer.view("b", 0.0).state == "healthy"


def test_who_cannot_be_asked_at_all() -> None:
    balancer = Balancer()

    assert refusal(balancer).reason == "no_target"
    assert refusal(balancer, target("a", accepts=False)).reason == "not_accepting"
    assert refusal(balancer, A, tried={"a"}).reason == "all_tried"


def test_changes_of_state_are_reported_once() -> None:
    seen: list[tuple[str, str, str]] = []
    balancer = Balancer(lambda key, before, after, _reason: seen.append((key, before, after)))

    for now in (0.0, 10.0, 20.0):
        balancer.probed(A, ProbeResult("timeout"), now)
    balancer.probed(A, ProbeResult("ok"), 30.0)

    assert seen == [("a", "healthy", "degraded"), ("a", "degraded", "offline"), ("a", "offline", "healthy")]


def test_targets_that_are_no_longer_used_are_forgotten_but_not_their_requests_under_way() -> None:
    balancer, small = Balancer(idle_seconds=100), target("a", max_concurrent=1)
    held = lease(balancer, small)
    send(balancer, B, outcome=REFUSED)

    send(balancer, C, now=1000.0)

    assert balancer.view("b", 1000.0).state == "healthy"
    assert refusal(balancer, small, now=1000.0).reason == "full"
    held.finish(FAILED, 1000.0)
    send(balancer, target("d"), now=2000.0)
    assert send(balancer, small, now=2000.0) == "a"


def test_a_caller_that_leaves_says_nothing_and_leaves_nothing() -> None:
    balancer = Balancer()
    for _ in range(100):
        send(balancer, A, outcome=Outcome("client_left"))

    assert balancer.view("a", 0.0).state == "healthy"
    assert balancer.view("a", 0.0).in_flight == 0
