"""Scopes that routes require of their callers, as dependencies: `Reader`, `Administrator`, ...

How a key is checked is in `authenticator.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Request

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.authenticator import ANYBODY, Caller
from model_registry.entities.api_key import Scope

PRIVATE = "model_registry.private"
"""Set on the scope of a request whose answer is for who showed this key: no shared cache may keep it."""
_YES = frozenset({"true", "1", "yes", "on", "t", "y"})
"""What pydantic takes for true."""

_CALLERS = "model_registry.callers"
"""Where a request carries who was authorised for what: `GuardedRoute` asks before the body, FastAPI again behind it."""


async def _once(request: Request, what: str, ask: Callable[[], Awaitable[Caller]]) -> Caller:
    """Ask once per request and requirement: who may read is not thereby who may do anything else."""
    callers: dict[str, Caller] = request.scope.setdefault(_CALLERS, {})
    if what not in callers:
        callers[what] = await ask()
    return callers[what]


async def _require(request: Request, state: AppState, scope: Scope) -> Caller:
    return await _once(request, scope, lambda: state.authenticator.require(request.headers, scope))


async def _reader(request: Request, state: CurrentApp) -> Caller:
    return await _require(request, state, "read")


async def key_holder(request: Request, state: CurrentApp) -> Caller:
    """The caller of a read that needs a key wherever there are any, and whose answer is for them alone."""
    request.scope[PRIVATE] = True
    return await _once(request, "key", lambda: state.authenticator.require_key(request.headers))


async def _any_reader(request: Request, state: CurrentApp) -> Caller:
    if state.authenticator.takes_any_key(request.scope["path"]):
        return ANYBODY
    return await _require(request, state, "read")


async def _administrator(request: Request, state: CurrentApp) -> Caller:
    return await _require(request, state, "admin")


async def _importer(request: Request, state: CurrentApp) -> Caller:
    """A dry run writes nothing, and yet it is long work. What means neither yes nor no is no dry run."""
    if request.query_params.get("dry_run", "").lower() in _YES:
        return await key_holder(request, state)
    return await _require(request, state, "admin")


async def _node(request: Request, state: CurrentApp) -> Caller:
    return await _require(request, state, "node")


Authorise = Callable[[Request, AppState], Awaitable[Caller]]
AUTHORISERS: frozenset[Callable[..., Any]] = frozenset(
    {_reader, key_holder, _any_reader, _administrator, _importer, _node}
)
"""The dependencies that say who may call a route."""

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
NodeReporter = Annotated[Caller, Depends(_node)]
