"""Who is asking, and what they may do: API keys, and the scopes that routes require (`Reader`, `Administrator`, ...).

A key is one of: the admin key and the read key of the environment, a row of `api_keys` (from the snapshot, so that keys
hold when the database is away), or, where Supabase is configured, one of its JWTs or its secret key. Keys are compared
by hash, in constant time.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from model_registry.api.caller import ANYBODY, Caller
from model_registry.entities.api_key import Scope, hash_of
from model_registry.errors import NotAllowed, NotAuthenticated
from model_registry.loopback import is_loopback
from model_registry.settings import Settings
from model_registry.store.registry import Registry
from model_registry.store.supabase_auth import SECRET_KEY

HOW_TO_SET_A_KEY = (
    "Make one with `model-registry keys create NAME --scope admin`, or set MODEL_REGISTRY_API_KEY for the service."
)

_HOW_TO_SEND = "Send it as `Authorization: Bearer <key>` or `X-API-Key`."

JwtScopes = Callable[[str], Awaitable[tuple[str, frozenset[str]] | None]]
"""The name and scopes of a JWT's bearer, or None when the token does not hold."""

PRIVATE = "model_registry.private"
"""Set on the scope of a request whose answer is for who showed this key: no shared cache may keep it."""
_YES = frozenset({"true", "1", "yes", "on", "t", "y"})
"""What pydantic takes for true."""
_SAME_SITE = frozenset({b"none", b"same-origin"})
_AGENT = "agent"
"""A scope that only the agents' key of the environment has."""
_CALLER = "model_registry.caller"
"""Where a request carries its caller: Supabase is asked about a token once. Each requirement is checked anew."""


class Authenticator:
    """Turns a request's headers into a caller."""

    def __init__(self, settings: Settings, registry: Registry, jwt_scopes: JwtScopes | None = None) -> None:
        self._registry = registry
        self._jwt_scopes = jwt_scopes
        self._auth_reads = settings.auth_reads
        self.is_local = is_loopback(f"http://{_in_url(settings.host)}") and settings.host not in {"0.0.0.0", "::"}  # noqa: S104
        self._own_hash = _hash(settings.api_key)
        self._read_hash = _hash(settings.read_key)
        self._agent_hash = _hash(settings.agent_key)
        self._metrics_hash = _hash(settings.metrics_token)

    @property
    def reads_are_open(self) -> bool:
        """Whether reading needs no key."""
        return not self._auth_reads

    def takes_any_key(self, path: str) -> bool:
        """Whether a key is not looked at: clients of OpenAI and PostgREST always send one, if need be any."""
        return self.reads_are_open and path.startswith(("/v1/", "/rest/v1/"))

    def has_keys(self) -> bool:
        """Whether anybody could authenticate at all."""
        stored = self._registry.loaded and any(k.revoked_at is None for k in self._registry.snapshot.api_keys)
        return bool(self._own_hash or self._read_hash or self._agent_hash or self._jwt_scopes or stored)

    async def caller(self, request: HTTPConnection) -> Caller | None:
        """Who is asking; None when no key is shown. Errors: NotAuthenticated for one that does not hold."""
        if _CALLER not in request.scope:
            request.scope[_CALLER] = await self._found(_shown_key(request.headers))
        caller: Caller | None = request.scope[_CALLER]
        return caller

    async def _found(self, secret: str | None) -> Caller | None:
        if secret is None:
            return None
        caller = self._by_hash(hash_of(secret))
        if caller is None and self._jwt_scopes is not None and _is_of_supabase(secret):
            claimed = await self._jwt_scopes(secret)
            caller = Caller(*claimed) if claimed else None
        if caller is None:
            raise NotAuthenticated("This API key is unknown or has been revoked.")
        return caller

    async def require(self, request: HTTPConnection, scope: Scope) -> Caller:
        """The caller, who may do this. Errors: NotAuthenticated, NotAllowed."""
        caller = await self.caller(request)
        if caller is None:
            if scope == "read" and self.reads_are_open:
                return ANYBODY
            if not self.has_keys():
                raise NotAuthenticated(f"No API key is configured, so writes are refused. {HOW_TO_SET_A_KEY}")
            raise NotAuthenticated(f"An API key is required. {_HOW_TO_SEND}")
        if not caller.may(scope):
            raise NotAllowed(f"API key {caller.name!r} lacks the scope {scope!r}.")
        return caller

    async def require_agent(self, request: HTTPConnection) -> Caller:
        """The caller, who may report for gateways: the agents' key of the environment, or one with the scope service.

        Errors: NotAuthenticated, NotAllowed.
        """
        caller = await self.caller(request)
        return caller if caller and _AGENT in caller.scopes else await self.require(request, "service")

    async def require_key(self, request: HTTPConnection) -> Caller:
        """The caller, who has shown a key wherever there are any.

        Errors: NotAuthenticated, NotAllowed, StorageUnavailable.

        For reads that tell more than the catalogue as it is now (who wrote what when, what stood there before), and for
        reads that cost more than an answer from the snapshot. A user who signed up to a Supabase project counts once
        granted a scope. Where no key was ever made, as on one's own machine, these reads are as open as others. While
        nothing is loaded, it is unknown whether there are keys: 503.
        """
        caller = await self.require(request, "read")
        if caller is ANYBODY:
            if self.has_keys():
                raise NotAuthenticated(f"An API key is required, with any scope. {_HOW_TO_SEND}")
            self._registry.snapshot  # noqa: B018 (refuses while nothing is loaded)
        elif not caller.scopes:
            raise NotAllowed(f"{caller.name!r} has no scope. Add `read` to the user's app_metadata.registry_scopes.")
        return caller

    async def require_dispatch(self, asked: Mapping[bytes, bytes]) -> Caller:
        """The caller, by the headers of a request, who may have it passed on.

        Once there is any key: one with the scope dispatch, or admin. Where none was ever made: who is on this machine,
        and no page of another site in a browser there. Errors: NotAuthenticated, NotAllowed, StorageUnavailable.
        """
        authorization, api_key = asked.get(b"authorization", b""), asked.get(b"x-api-key", b"")
        caller = await self._found(_secret(authorization.decode("latin-1"), api_key.decode("latin-1")))
        if caller is not None:
            if "dispatch" not in caller.scopes and "admin" not in caller.scopes:
                raise NotAllowed(f"API key {caller.name!r} lacks the scope 'dispatch'.")
            return caller
        if self.has_keys():
            raise NotAuthenticated(f"An API key with the scope dispatch is required. {_HOW_TO_SEND}")
        self._registry.snapshot  # noqa: B018 (refuses while nothing is loaded: there may be keys)
        if not self.is_local:
            message = "No API key is configured, so requests are dispatched only where MODEL_REGISTRY_HOST is loopback."
            raise NotAuthenticated(f"{message} {HOW_TO_SET_A_KEY}")
        url = f"http://{asked.get(b'host', b'localhost').decode('latin-1')}"
        if asked.get(b"sec-fetch-site", b"none") not in _SAME_SITE or not is_loopback(url):
            message = "Without a key, nothing is dispatched for a page of another site, or to a Host but localhost."
            raise NotAuthenticated(f"{message} {HOW_TO_SET_A_KEY}")
        return ANYBODY

    async def require_metrics(self, request: HTTPConnection) -> None:
        """Whether this may scrape: with MODEL_REGISTRY_METRICS_TOKEN set, it or an admin key; else as for reads.

        The token opens nothing else. Errors: NotAuthenticated, NotAllowed.
        """
        if self._metrics_hash is None:
            await self.require(request, "read")
            return
        secret = _shown_key(request.headers)
        if secret is not None and hmac.compare_digest(hash_of(secret), self._metrics_hash):
            return
        await self.require(request, "admin")

    async def knows(self, request: HTTPConnection) -> bool:
        """Whether the caller may read, without refusing anybody: for answers that say less to others."""
        if self.reads_are_open:
            return True
        try:
            return await self.caller(request) is not None
        except NotAuthenticated:
            return False

    def _by_hash(self, shown: str) -> Caller | None:
        if self._own_hash is not None and hmac.compare_digest(shown, self._own_hash):
            return Caller("environment key", frozenset({"admin"}))
        if self._read_hash is not None and hmac.compare_digest(shown, self._read_hash):
            return Caller("environment read key", frozenset({"read"}))
        if self._agent_hash is not None and hmac.compare_digest(shown, self._agent_hash):
            return Caller("environment agent key", frozenset({"read", _AGENT}))
        # The look-up is by hash: its timing depends on the hash of a guess, never on a key.
        if not self._registry.loaded:
            return None
        for key in self._registry.snapshot.api_keys.where("key_hash", shown):
            if key.revoked_at is None and hmac.compare_digest(shown, key.key_hash):
                limits = None if key.services is None else frozenset(name.lower() for name in key.services)
                return Caller(key.name, frozenset(key.scopes), limits)
        return None


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _hash(secret: SecretStr | None) -> str | None:
    return hash_of(secret.get_secret_value()) if secret else None


def _is_of_supabase(secret: str) -> bool:
    """Whether this looks like a JWT, which has three parts, or like a secret key of a Supabase project."""
    return secret.count(".") == 2 or secret.startswith(SECRET_KEY)  # noqa: PLR2004


def _shown_key(headers: Headers) -> str | None:
    return _secret(headers.get("authorization", ""), headers.get("x-api-key", ""))


def _secret(authorization: str, api_key: str) -> str | None:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return api_key or None


Authorise = Callable[[Request], Awaitable[Caller]]


def _authenticator(request: Request) -> Authenticator:
    authenticator: Authenticator = request.app.state.service.authenticator
    return authenticator


def _requires(scope: Scope) -> Authorise:
    async def authorise(request: Request) -> Caller:
        return await _authenticator(request).require(request, scope)

    return authorise


_reader, _administrator, _node, _registrant = (_requires(scope) for scope in ("read", "admin", "node", "service"))


async def key_holder(request: Request) -> Caller:
    """The caller of a read that needs a key wherever there are any, and whose answer is for them alone."""
    request.scope[PRIVATE] = True
    return await _authenticator(request).require_key(request)


async def _any_reader(request: Request) -> Caller:
    return ANYBODY if _authenticator(request).takes_any_key(request.scope["path"]) else await _reader(request)


async def _importer(request: Request) -> Caller:
    """A dry run writes nothing, and yet it is long work. What means neither yes nor no is no dry run."""
    is_dry_run = request.query_params.get("dry_run", "").lower() in _YES
    return await (key_holder if is_dry_run else _administrator)(request)


async def _probe_reader(request: Request) -> Caller:
    """To read what is known is reading; to have an instance asked needs a key."""
    asks = request.query_params.get("probe", "").lower() in _YES
    return await (key_holder if asks else _reader)(request)


async def _dispatch_caller(request: Request) -> Caller:
    request.scope[PRIVATE] = True
    return await _authenticator(request).require_dispatch(dict(request.headers.raw))


async def _agent(request: Request) -> Caller:
    return await _authenticator(request).require_agent(request)


AUTHORISERS: frozenset[Authorise] = frozenset({
    *(_reader, key_holder, _any_reader, _administrator, _importer, _node, _registrant, _dispatch_caller, _probe_reader),
    _agent,
})  # fmt: skip
"""The dependencies that say who may call a route."""

WRITERS: frozenset[Authorise | None] = frozenset({_administrator, _importer, _node, _registrant, _agent})
"""Those of routes that write, which a replica with the role dispatch leaves to others."""

Reader = Annotated[Caller, Depends(_reader)]
READ_WITH_BODY: dict[str, Any] = {"security": [{}, {"bearer": []}, {"apiKey": []}]}
"""For the documentation of a POST that only reads."""
KeyHolder = Annotated[Caller, Depends(key_holder)]
"""As `Reader`, but once there are keys it needs one, whatever MODEL_REGISTRY_AUTH_READS says."""
NEEDS_KEY: dict[str, Any] = {"security": [{"bearer": []}, {"apiKey": []}]}
"""For the documentation of a GET with `KeyHolder`."""
AnyReader = Annotated[Caller, Depends(_any_reader)]
"""As `Reader`, for the paths that take any key."""
Administrator = Annotated[Caller, Depends(_administrator)]
Importer = Annotated[Caller, Depends(_importer)]
"""An administrator; for a dry run a `KeyHolder`."""
DryRun = Annotated[bool, Query(description="Report what would change, without writing.")]
ProbeReader = Annotated[Caller, Depends(_probe_reader)]
"""A `Reader`; with `?probe=true` a `KeyHolder`."""
NodeReporter = Annotated[Caller, Depends(_node)]
Registrant = Annotated[Caller, Depends(_registrant)]
DispatchCaller = Annotated[Caller, Depends(_dispatch_caller)]
"""Who may register, or ask, model services. What the key is limited to, the route asks: `Caller.may_use`."""
GatewayAgent = Annotated[Caller, Depends(_agent)]
"""Who may report what is set where a gateway runs."""
