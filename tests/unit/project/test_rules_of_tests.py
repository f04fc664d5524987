"""Rules that every test keeps, and what breaks each: CONTRIBUTING says why."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.paths import TESTS

RULES = {
    r"""setattr\([^)]*["'.]_[A-Za-z]""": "patches something private: make it an argument",
    r"max_examples=": "says how many examples are drawn: that is for tests/support/profiles.py",
    r"perf_counter": "measures how fast something is: that is for benchmarks/",
    r"monotonic\(\) - \w+ <": "asserts how long something takes: wait for what it stands for",
}
KNOW_BETTER = {Path(__file__), TESTS / "support" / "profiles.py"}


@pytest.mark.parametrize("broken", RULES, ids=RULES.get)
def test_no_test_breaks_a_rule(broken: str) -> None:
    files = sorted(set(TESTS.rglob("*.py")) - KNOW_BETTER)

    found = [f"{file.relative_to(TESTS)} {RULES[broken]}" for file in files if re.search(broken, file.read_text())]

    assert len(files) > 100
    assert found == []
