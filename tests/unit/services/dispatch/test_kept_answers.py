"""Requests with an Idempotency-Key are carried out once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from model_registry.errors import RepeatedRequest
from model_registry.services.dispatch.kept_answers import KeptAnswers, Key, size_of

KEY: Key = ("caller", "/train", b"key")


def _answer(body: bytes) -> list[dict[str, Any]]:
    return [{"type": "http.response.start", "status": 200}, {"type": "http.response.body", "body": body}]


_SIZE = sum(map(size_of, _answer(b"done")))


async def test_a_repeated_request_gets_the_answer_of_the_first() -> None:
    kept = KeptAnswers()
    promise, is_new = await kept.begin(KEY, b"print")
    kept.end(KEY, promise, _answer(b"done"), sent=True)

    again, is_new_again = await kept.begin(KEY, b"print")

    assert (is_new, is_new_again, again.messages) == (True, False, _answer(b"done"))


async def test_a_repetition_waits_for_the_first_one() -> None:
    kept = KeptAnswers()
    promise, _ = await kept.begin(KEY, b"print")
    waiting = asyncio.ensure_future(kept.begin(KEY, b"print"))
    await asyncio.sleep(0)
    assert not waiting.done()

    kept.end(KEY, promise, _answer(b"done"), sent=True)

    again, is_new = await waiting
    assert (is_new, again.messages) == (False, _answer(b"done"))


async def test_what_was_not_sent_may_be_sent_by_the_next() -> None:
    kept = KeptAnswers()
    promise, _ = await kept.begin(KEY, b"print")
    waiting = asyncio.ensure_future(kept.begin(KEY, b"print"))
    await asyncio.sleep(0)

    kept.end(KEY, promise, None, sent=False)

    assert (await waiting)[1]


async def test_a_key_belongs_to_one_request_of_one_caller() -> None:
    kept = KeptAnswers()
    await kept.begin(KEY, b"print")

    with pytest.raises(RepeatedRequest, match="another request"):
        await kept.begin(KEY, b"another")
    assert (await kept.begin(("somebody", "/train", b"key"), b"print"))[1]


@pytest.mark.parametrize(
    "messages",
    [
        None,
        _answer(b"x" * 5),
        [*_answer(b""), {"type": "http.response.body"}],
        [{**_answer(b"")[0], "headers": [(b"x", b"y")]}, _answer(b"")[1]],
    ],
)
async def test_what_is_not_kept_is_not_sent_again(messages: Any) -> None:
    kept = KeptAnswers(most_answer_bytes=_SIZE)
    promise, _ = await kept.begin(KEY, b"print")
    kept.end(KEY, promise, messages, sent=True)

    with pytest.raises(RepeatedRequest, match="not sent again"):
        await kept.begin(KEY, b"print")


async def test_answers_are_kept_for_a_time() -> None:
    now = 0.0
    kept = KeptAnswers(seconds=10, clock=lambda: now)
    promise, _ = await kept.begin(KEY, b"print")
    kept.end(KEY, promise, _answer(b"done"), sent=True)
    now = 11.0

    assert (await kept.begin(KEY, b"print"))[1]


@pytest.mark.parametrize("kept", [KeptAnswers(most=3), KeptAnswers(most_bytes=2 * _SIZE)])
async def test_the_oldest_make_room_but_never_one_that_runs(kept: KeptAnswers) -> None:
    running, _ = await kept.begin(KEY, b"print")
    for number in range(5):
        key = ("caller", "/train", b"%d" % number)
        promise, _ = await kept.begin(key, b"print")
        kept.end(key, promise, _answer(b"done"), sent=True)

    assert (await kept.begin(("caller", "/train", b"0"), b"print"))[1]
    assert not (await kept.begin(("caller", "/train", b"4"), b"print"))[1]
    assert not running.ended.is_set()
