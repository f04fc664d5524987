"""The public keys that a Supabase project signs its tokens with, kept while a withdrawn one may still count."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx
    from supabase_auth.types import JWKSet

FRESH_SECONDS = 30.0
"""How long a key set is used without asking again: a withdrawn key counts no longer than that."""
LONGEST_SECONDS = 600.0
"""How long a key set is used while the project does not answer; then no token holds."""
PAUSE_SECONDS = 5.0
"""Between two requests while there is a key set: anybody can send tokens with made-up keys."""


class SigningKeys:
    """The key set at one address."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        address: str,
        headers: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._address = address
        self._headers = headers
        self._clock = clock
        self._asking = asyncio.Lock()
        self._keys: JWKSet = {"keys": []}
        self._fetched_at: float | None = None
        self._asked_at: float | None = None

    async def including(self, key_id: object) -> JWKSet:
        """The current key set, which has this key.

        Timeout: that of the client, once for all who wait. Not retried. When the project does not answer, the last
        key set counts for ten minutes. Errors: httpx.HTTPError; AuthInvalidJwtError for a key that is not there.
        """
        from supabase_auth.errors import AuthInvalidJwtError  # noqa: PLC0415 (as in client.py)

        asked = self._asked_at
        async with self._asking:
            if self._is_due(key_id) and asked == self._asked_at:  # otherwise somebody asked meanwhile
                await self._ask()
        if not self._is_usable or not self._has(key_id):
            raise AuthInvalidJwtError("The project has no such signing key")
        return self._keys

    def _is_due(self, key_id: object) -> bool:
        is_fresh = self._age(self._fetched_at) <= FRESH_SECONDS and self._has(key_id)
        return not is_fresh and (not self._is_usable or self._age(self._asked_at) > PAUSE_SECONDS)

    @property
    def _is_usable(self) -> bool:
        return self._age(self._fetched_at) <= LONGEST_SECONDS

    async def _ask(self) -> None:
        import httpx  # noqa: PLC0415 (as in client.py)
        from supabase_auth.errors import AuthInvalidJwtError  # noqa: PLC0415
        from supabase_auth.helpers import parse_jwks  # noqa: PLC0415

        self._asked_at = self._clock()
        try:
            answer = await self._http.get(self._address, headers=self._headers)
            self._keys = parse_jwks(answer.raise_for_status())
        except AuthInvalidJwtError:  # there are none
            self._keys, self._fetched_at = {"keys": []}, self._clock()
        except (httpx.HTTPError, ValueError):
            if not self._is_usable:
                raise
        else:
            self._fetched_at = self._clock()

    def _has(self, key_id: object) -> bool:
        return any(key.get("kid") == key_id for key in self._keys["keys"])

    def _age(self, moment: float | None) -> float:
        return float("inf") if moment is None else self._clock() - moment
