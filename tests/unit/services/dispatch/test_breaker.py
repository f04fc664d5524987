"""A breaker opens after failures in a row, tests with one request, and closes or opens for longer."""

from __future__ import annotations

from model_registry.services.dispatch.breaker import Breaker


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker(5)
    for _ in range(5):
        breaker.permit(now).failed(now)
    return breaker


def test_it_opens_at_the_fifth_failure_in_a_row() -> None:
    breaker = Breaker(5)
    for _ in range(4):
        breaker.permit(0).failed(0)
    assert breaker.admits(0) == "yes"

    breaker.permit(0).failed(0)

    assert (breaker.state(0), breaker.admits(0)) == ("open", "no")


def test_a_success_between_failures_starts_the_count_again() -> None:
    breaker = Breaker(5)
    for _ in range(4):
        breaker.permit(0).failed(0)
    breaker.permit(0).succeeded(0)
    for _ in range(4):
        breaker.permit(0).failed(0)

    assert not breaker.opened


def test_half_open_is_one_test() -> None:
    breaker = opened()

    assert breaker.admits(1.0) == "test"
    assert breaker.permit(1.0).test
    assert breaker.admits(1.0) == breaker.admits(500.0) == "testing"
    assert not breaker.permit(1.0).test


def test_a_test_that_succeeds_closes() -> None:
    breaker = opened()

    assert breaker.permit(1.0).succeeded(1.1)

    assert breaker.admits(1.1) == "yes"


def test_open_gets_longer_with_each_failed_test_up_to_eight_seconds() -> None:
    breaker = opened()
    now, lasted = 0.0, []
    for _ in range(6):
        began = now
        while breaker.admits(now) == "no":
            now += 0.5
        lasted.append(now - began)
        breaker.permit(now).failed(now)

    assert lasted == [1, 2, 4, 8, 8, 8]


def test_one_that_flaps_stays_out_for_longer_and_one_that_was_well_for_long_does_not() -> None:
    breaker = opened()
    breaker.permit(1.0).succeeded(1.0)
    for _ in range(5):
        breaker.permit(2.0).failed(2.0)
    assert (breaker.admits(3.5), breaker.admits(4.0)) == ("no", "test")

    breaker.permit(4.0).succeeded(4.0)
    for _ in range(5):
        breaker.permit(40.0).failed(40.0)
    assert breaker.admits(41.0) == "test"


def test_a_test_that_says_nothing_is_due_again() -> None:
    breaker = opened()

    breaker.permit(1.0).released()

    assert breaker.admits(1.0) == "test"


def test_what_requests_from_before_an_opening_met_no_longer_counts() -> None:
    breaker = Breaker(5)
    early = [breaker.permit(0) for _ in range(20)]
    for permit in early[:5]:
        permit.failed(0)
    assert not early[5].succeeded(0.5)
    assert breaker.opened

    breaker.permit(1.0).succeeded(1.0)
    for permit in early[6:]:
        permit.failed(1.5)

    assert not breaker.opened


def test_a_request_sent_all_the_same_closes_it_if_it_succeeds_and_changes_nothing_if_it_fails() -> None:
    breaker = opened()
    breaker.permit(0.5).failed(0.6)
    assert breaker.admits(1.0) == "test"

    assert breaker.permit(0.5).succeeded(0.6)
    assert not breaker.opened
