"""The known name that a misspelt one is nearest to."""

from __future__ import annotations

import time

import pytest

from model_registry.catalog.request_models import ModelBody
from model_registry.entities.spelling import listed, nearest, suggestion

FIELDS = list(ModelBody.model_fields)


@pytest.mark.parametrize(
    ("word", "known", "near"),
    [
        ("contxt_window", FIELDS, "context_window"),
        ("cost_1m_input", FIELDS, "cost_per_1m_input_tokens"),
        ("capabilitys", FIELDS, "capabilities"),
        ("Name", FIELDS, "name"),
        ("price", FIELDS, None),
        ("", FIELDS, None),
        ("limt", ["limit", "offset"], "limit"),
        ("visoin", ["chat", "vision"], "vision"),
        ("tga", ["name", "tag"], "tag"),
        ("min_vram_gb", ["vram_gb", "requirements.min_vram_gb"], "requirements.min_vram_gb"),
        ("anything", [], None),
    ],
)
def test_the_nearest_name_is_found(word: str, known: list[str], near: str | None) -> None:
    assert nearest(word, known) == near


def test_a_hint_names_one_or_all() -> None:
    assert suggestion("limt", ["limit", "offset"]) == "did you mean 'limit'?"
    assert suggestion("sort", ["limit", "offset"]) == "known here: limit, offset"
    assert suggestion("sort", []) == "known here: none"
    assert listed([str(number) for number in range(102)]).endswith(", 98, 99 and 2 more")


def test_long_words_and_many_names_cost_little() -> None:
    """A plain comparison with each of these takes seconds."""
    many = [f"model-{number:06}-instruct-version-{'x' * 200}" for number in range(20_000)]
    started = time.process_time()
    assert nearest("model-zzzzzz-instruct-version" + "y" * 100_000, many) is None
    assert time.process_time() - started < 0.5
