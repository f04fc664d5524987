"""What is sent again, to whom, after how long; and the budget that bounds it."""

from __future__ import annotations

from typing import Any

import pytest

from model_registry.services.dispatch.attempts import GiveUp, Retry, RetryBudget, next_step
from model_registry.services.dispatch.targets import Outcome

REFUSED = Outcome("not_connected")
HUNG_UP = Outcome("broken")


def step(outcome: Outcome, **changed: Any) -> Retry | GiveUp:
    facts = {"sent": True, "first_byte": False, "repeatable": True, "tries": 1, "most_tries": 4, "now": 0.0}
    return next_step(outcome, **{"budget": RetryBudget(), **facts, **changed})


def test_what_was_not_sent_is_sent_to_others_as_long_as_there_are_any() -> None:
    assert step(REFUSED, sent=False, repeatable=False, tries=9) == Retry(0.0)
    assert step(REFUSED, sent=False, tries=4, others=False) == GiveUp("most_tries")


@pytest.mark.parametrize("outcome", [HUNG_UP, Outcome("timeout"), Outcome("status", 500), Outcome("status", 429)])
def test_what_was_sent_is_sent_again_only_where_it_may_be_repeated(outcome: Outcome) -> None:
    assert step(outcome) == Retry(0.0)
    assert step(outcome, repeatable=False) == GiveUp("not_repeatable")
    assert step(outcome, tries=4) == GiveUp("most_tries")


def test_nothing_is_sent_again_after_the_first_byte_of_a_response() -> None:
    assert step(HUNG_UP, first_byte=True) == GiveUp("response_began")


@pytest.mark.parametrize("status", [200, 400, 403, 404, 422, 501])
def test_what_another_target_would_answer_as_well_is_the_answer(status: int) -> None:
    assert step(Outcome("status", status)) == GiveUp("answered")


def test_nothing_is_sent_for_a_caller_that_left() -> None:
    assert step(Outcome("client_left"), sent=False) == GiveUp("client_left")


def test_the_same_target_gets_time_to_recover() -> None:
    assert step(HUNG_UP, others=False) == Retry(1.0)
    assert step(HUNG_UP, others=False, chance=1.0) == Retry(0.5)
    assert step(Outcome("status", 429, retry_after=7), others=False) == Retry(7)


def test_the_budget_is_a_share_of_the_requests_and_a_few_more() -> None:
    budget = RetryBudget(share=0.2, per_second=1, seconds=10)
    for _ in range(100):
        budget.note_request(0.0)

    assert sum(budget.take(0.5) for _ in range(100)) == 30
    assert step(HUNG_UP, budget=budget) == GiveUp("retry_budget")
    assert step(REFUSED, sent=False, budget=budget) == Retry(0.0)


def test_the_budget_forgets() -> None:
    budget = RetryBudget(share=0.2, per_second=1, seconds=10)
    assert sum(budget.take(0.0) for _ in range(20)) == 10

    assert sum(budget.take(9.9) for _ in range(20)) == 0
    assert sum(budget.take(10.0) for _ in range(20)) == 10
