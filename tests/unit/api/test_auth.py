"""Who may have requests dispatched where no key is configured."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from model_registry.api.auth import Authenticator
from model_registry.api.caller import ANYBODY
from model_registry.errors import NotAuthenticated
from model_registry.settings import Settings


def _authenticator(**settings: Any) -> Authenticator:
    registry: Any = SimpleNamespace(loaded=True, snapshot=SimpleNamespace(api_keys=()))
    return Authenticator(Settings(**settings), registry)


async def test_without_any_key_only_this_machine_may_dispatch() -> None:
    assert await _authenticator(MODEL_REGISTRY_HOST="127.0.0.1").require_dispatch({}) is ANYBODY
    assert await _authenticator(MODEL_REGISTRY_HOST="::1").require_dispatch({}) is ANYBODY
    for host in ("0.0.0.0", "::", "10.0.0.1", "registry"):  # noqa: S104 (to be refused)
        with pytest.raises(NotAuthenticated, match="only where MODEL_REGISTRY_HOST is loopback"):
            await _authenticator(MODEL_REGISTRY_HOST=host).require_dispatch({})


async def test_no_page_of_another_site_dispatches_through_the_browser_of_this_machine() -> None:
    local = _authenticator(MODEL_REGISTRY_HOST="127.0.0.1")

    assert await local.require_dispatch({b"sec-fetch-site": b"same-origin"}) is ANYBODY
    for site in (b"cross-site", b"same-site"):
        with pytest.raises(NotAuthenticated, match="page of another site"):
            await local.require_dispatch({b"sec-fetch-site": site})


@pytest.mark.parametrize("host", [b"localhost:8110", b"127.0.0.1:8110", b"[::1]:8110", b"LOCALHOST"])
async def test_without_a_key_this_machine_is_asked_by_its_own_name(host: bytes) -> None:
    assert await _authenticator(MODEL_REGISTRY_HOST="127.0.0.1").require_dispatch({b"host": host}) is ANYBODY


@pytest.mark.parametrize(
    "host", [b"evil.example:8110", b"localhost.evil.example", b"127.0.0.1@evil.example", b"[", b""]
)
async def test_no_name_that_was_pointed_here_opens_dispatch(host: bytes) -> None:
    with pytest.raises(NotAuthenticated, match="page of another site"):
        await _authenticator(MODEL_REGISTRY_HOST="127.0.0.1").require_dispatch({b"host": host})


async def test_with_any_key_there_is_no_dispatch_without_one() -> None:
    with pytest.raises(NotAuthenticated, match="scope dispatch is required"):
        await _authenticator(MODEL_REGISTRY_READ_KEY="a key of some length").require_dispatch({})
