"""A withdrawn signing key counts for half a minute, and no longer than ten while the project does not answer.

The key sets come from a real server on this machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from supabase import AuthError

from model_registry.store.signing_keys import FRESH_SECONDS, LONGEST_SECONDS, PAUSE_SECONDS, SigningKeys
from support.supabase import SupabaseProject, supabase_project

PATH = "/auth/v1/.well-known/jwks.json"


class Clock:
    """A clock that stands until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def project() -> Iterator[SupabaseProject]:
    with supabase_project("http://127.0.0.1:9") as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def keys(project: SupabaseProject, clock: Clock) -> AsyncIterator[SigningKeys]:
    async with httpx.AsyncClient(trust_env=False) as http:
        yield SigningKeys(http, f"{project.url}{PATH}", {}, clock)


async def holds(keys: SigningKeys, key_id: object) -> bool:
    try:
        return bool(await keys.including(key_id))
    except (AuthError, httpx.HTTPError):
        return False


async def test_a_withdrawn_key_counts_no_longer_than_the_key_set_is_fresh(
    keys: SigningKeys, project: SupabaseProject, clock: Clock
) -> None:
    withdrawn = project.kid
    assert await holds(keys, withdrawn)
    project.replace_key()

    clock.now += FRESH_SECONDS
    assert await holds(keys, withdrawn)
    clock.now += 1
    assert not await holds(keys, withdrawn)
    assert await holds(keys, project.kid)
    assert project.requests == [PATH] * 2


async def test_the_last_key_can_be_withdrawn_too(keys: SigningKeys, project: SupabaseProject, clock: Clock) -> None:
    assert await holds(keys, project.kid)
    project.public_keys = lambda: {"keys": []}  # type: ignore[method-assign]

    for _ in range(3):
        clock.now += FRESH_SECONDS + 1
        assert not await holds(keys, project.kid)


async def test_a_new_key_is_known_within_seconds_and_made_up_ones_cost_no_request_each(
    keys: SigningKeys, project: SupabaseProject, clock: Clock
) -> None:
    assert await holds(keys, project.kid)
    project.replace_key()

    answers = await asyncio.gather(*(holds(keys, key_id) for key_id in ("made up", 7, None, ["x"], project.kid)))
    assert (answers, len(project.requests)) == ([False] * 5, 1)
    clock.now += PAUSE_SECONDS + 1
    answers = await asyncio.gather(*(holds(keys, key_id) for key_id in ("made up", 7, None, ["x"], project.kid)))
    assert (answers, len(project.requests)) == ([False, False, False, False, True], 2)


async def test_while_the_project_does_not_answer_the_last_key_set_counts_for_ten_minutes(
    keys: SigningKeys, project: SupabaseProject, clock: Clock
) -> None:
    assert await holds(keys, project.kid)
    began, project.away = clock.now, True

    while clock.now + FRESH_SECONDS <= began + LONGEST_SECONDS:
        clock.now += FRESH_SECONDS
        assert await holds(keys, project.kid)
    clock.now = began + LONGEST_SECONDS + 1
    assert not await holds(keys, project.kid)
    assert not await holds(keys, project.kid)
    project.away = False
    clock.now += PAUSE_SECONDS + 1
    assert await holds(keys, project.kid)
