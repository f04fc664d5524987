"""What the rules refuse of a list of workers. That SMG agrees: tests/acceptance/gateways/test_smg_rules.py."""

from __future__ import annotations

import pytest

from model_registry.gateways.smg.rules import faults
from support.smg_lists import ACCEPTED, REFUSED, text_of


@pytest.mark.parametrize("workers", ACCEPTED.values(), ids=ACCEPTED)
def test_these_are_accepted(workers: object) -> None:
    assert list(faults(text_of(workers), 1)) == []


@pytest.mark.parametrize("workers", REFUSED.values(), ids=REFUSED)
def test_these_are_refused_with_a_reason(workers: object) -> None:
    assert all(reason.message for reason in faults(text_of(workers), 1))
    assert list(faults(text_of(workers), 1))


def test_a_reason_names_the_worker() -> None:
    twice = [{"id": "a/vllm/m", "url": "http://h:1"}, {"id": "b/vllm/m", "url": "http://H:1/"}]
    (reason,) = faults(text_of(twice), 1)
    assert str(reason) == "b/vllm/m: http://H:1/ is the address of a/vllm/m too"
