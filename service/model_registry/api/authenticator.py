"""Checking the API key of a request. Keys are compared by hash, in constant time.

A key is one of: the admin key and the read key of the environment, a row of `api_keys` (from the snapshot, so that keys
hold when the database is away), or a Supabase JWT where Supabase is configured. Which route needs which scope is not
here, but in `auth.py`.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr
from starlette.datastructures import Headers

from model_registry.entities.api_key import Scope, hash_of
from model_registry.errors import NotAllowed, NotAuthenticated
from model_registry.settings import Settings
from model_registry.store.registry import Registry

HOW_TO_SET_A_KEY = (
    "Make one with `model-registry keys create NAME --scope admin`, or set MODEL_REGISTRY_API_KEY for the service."
)

_HOW_TO_SEND = "Send it as `Authorization: Bearer <key>` or `X-API-Key`."

JwtScopes = Callable[[str], Awaitable[tuple[str, frozenset[str]] | None]]
"""The name and scopes of a JWT's bearer, or None when the token does not hold."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Someone who has shown a valid key."""

    name: str
    scopes: frozenset[str]

    def may(self, scope: Scope) -> bool:
        """Whether the key allows this; admin allows everything, and any key allows reading."""
        return scope in self.scopes or "admin" in self.scopes or scope == "read"


ANYBODY = Caller("anonymous", frozenset({"read"}))
"""Who reads without a key where that is allowed."""


_known: ContextVar[tuple[str, Caller] | None] = ContextVar("known caller", default=None)
"""Who showed which key in this request, so that a token is not shown to Supabase twice."""


@contextmanager
def authenticated(scope: MutableMapping[str, Any], caller: Caller) -> Iterator[None]:
    """Within it, this request's key is known to be this caller's."""
    secret = _shown_key(Headers(scope=scope))
    token = _known.set((secret, caller) if secret else None)
    try:
        yield
    finally:
        _known.reset(token)


class Authenticator:
    """Turns a request's headers into a caller."""

    def __init__(self, settings: Settings, registry: Registry, jwt_scopes: JwtScopes | None = None) -> None:
        self._registry = registry
        self._jwt_scopes = jwt_scopes
        self._auth_reads = settings.auth_reads
        self._own_hash = _hash(settings.api_key)
        self._read_hash = _hash(settings.read_key)
        self._metrics_hash = _hash(settings.metrics_token)

    @property
    def reads_are_open(self) -> bool:
        """Whether reading needs no key."""
        return not self._auth_reads

    def takes_any_key(self, path: str) -> bool:
        """Whether a key is not looked at: clients of OpenAI's interface always send one, for want of a real one any."""
        return self.reads_are_open and path.startswith("/v1/")

    def has_keys(self) -> bool:
        """Whether anybody could authenticate at all."""
        stored = self._registry.loaded and any(k.revoked_at is None for k in self._registry.snapshot.api_keys)
        return bool(self._own_hash or self._read_hash or self._jwt_scopes or stored)

    async def caller(self, headers: Headers) -> Caller | None:
        """Who is asking; None when no key is shown. Errors: NotAuthenticated for one that does not hold."""
        secret = _shown_key(headers)
        if secret is None:
            return None
        known = _known.get()
        if known is not None and known[0] == secret:
            return known[1]
        caller = self._by_hash(hash_of(secret))
        if caller is None and self._jwt_scopes is not None and secret.count(".") == 2:  # noqa: PLR2004 (a JWT has three parts)
            claimed = await self._jwt_scopes(secret)
            caller = Caller(*claimed) if claimed else None
        if caller is None:
            raise NotAuthenticated("This API key is unknown or has been revoked.")
        return caller

    async def require(self, headers: Headers, scope: Scope) -> Caller:
        """The caller, who may do this. Errors: NotAuthenticated, NotAllowed."""
        caller = await self.caller(headers)
        if caller is None:
            if scope == "read" and self.reads_are_open:
                return ANYBODY
            if not self.has_keys():
                raise NotAuthenticated(f"No API key is configured, so writes are refused. {HOW_TO_SET_A_KEY}")
            raise NotAuthenticated(f"An API key is required. {_HOW_TO_SEND}")
        if not caller.may(scope):
            raise NotAllowed(f"API key {caller.name!r} lacks the scope {scope!r}.")
        return caller

    async def require_key(self, headers: Headers) -> Caller:
        """The caller, who has shown a key wherever there are any.

        Errors: NotAuthenticated, NotAllowed, StorageUnavailable.

        For reads that tell more than the catalogue as it is now (who wrote what when, what stood there before), and for
        reads that cost more than an answer from the snapshot. Whoever signed up to a Supabase project has shown no key:
        that is a user who was granted a scope. Where nobody has ever made a key they stay as open as
        other reads: a trial on one machine. While nothing is loaded nobody knows whether there are keys: 503.
        """
        caller = await self.require(headers, "read")
        if caller is ANYBODY:
            if self.has_keys():
                raise NotAuthenticated(f"An API key is required, with any scope. {_HOW_TO_SEND}")
            self._registry.snapshot  # noqa: B018 (refuses while nothing is loaded)
        elif not caller.scopes:
            message = f"{caller.name!r} has no scope. Add `read` to the user's app_metadata.registry_scopes."
            raise NotAllowed(message)
        return caller

    async def require_metrics(self, headers: Headers) -> None:
        """Whether this may scrape: with MODEL_REGISTRY_METRICS_TOKEN set, it or an admin key; else whoever may read.

        The token opens nothing else. Errors: NotAuthenticated, NotAllowed.
        """
        if self._metrics_hash is None:
            await self.require(headers, "read")
            return
        secret = _shown_key(headers)
        if secret is not None and hmac.compare_digest(hash_of(secret), self._metrics_hash):
            return
        await self.require(headers, "admin")

    async def knows(self, headers: Headers) -> bool:
        """Whether the caller may read, without refusing anybody: for answers that say less to others."""
        if self.reads_are_open:
            return True
        try:
            return await self.caller(headers) is not None
        except NotAuthenticated:
            return False

    def _by_hash(self, shown: str) -> Caller | None:
        if self._own_hash is not None and hmac.compare_digest(shown, self._own_hash):
            return Caller("environment key", frozenset({"admin"}))
        if self._read_hash is not None and hmac.compare_digest(shown, self._read_hash):
            return Caller("environment read key", frozenset({"read"}))
        # The look-up is by hash: its timing tells about the hash of a guess, never about a key.
        if not self._registry.loaded:
            return None
        for key in self._registry.snapshot.api_keys.where("key_hash", shown):
            if key.revoked_at is None and hmac.compare_digest(shown, key.key_hash):
                return Caller(key.name, frozenset(key.scopes))
        return None


def _hash(secret: SecretStr | None) -> str | None:
    return hash_of(secret.get_secret_value()) if secret else None


def _shown_key(headers: Headers) -> str | None:
    authorization = headers.get("authorization", "")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key") or None
