"""Scopes that routes require of their callers, as dependencies: `Reader`, `Administrator`, ...

How a key is checked is in `authenticator.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.authenticator import ANYBODY, Caller
from model_registry.entities.api_key import Scope

PRIVATE = "model_registry.private"
"""Set on the scope of a request whose answer is for who showed this key: no shared cache may keep it."""
_YES = frozenset({"true", "1", "yes", "on", "t", "y"})
"""What pydantic takes for true."""

Authorise = Callable[[Request, AppState], Awaitable[Caller]]


def _requires(scope: Scope) -> Authorise:
    async def authorise(request: Request, state: CurrentApp) -> Caller:
        return await state.authenticator.require(request, scope)

    return authorise


_reader, _administrator, _node = _requires("read"), _requires("admin"), _requires("node")


async def key_holder(request: Request, state: CurrentApp) -> Caller:
    """The caller of a read that needs a key wherever there are any, and whose answer is for them alone."""
    request.scope[PRIVATE] = True
    return await state.authenticator.require_key(request)


async def _any_reader(request: Request, state: CurrentApp) -> Caller:
    return ANYBODY if state.authenticator.takes_any_key(request.scope["path"]) else await _reader(request, state)


async def _importer(request: Request, state: CurrentApp) -> Caller:
    """A dry run writes nothing, and yet it is long work. What means neither yes nor no is no dry run."""
    is_dry_run = request.query_params.get("dry_run", "").lower() in _YES
    return await (key_holder if is_dry_run else _administrator)(request, state)


AUTHORISERS: frozenset[Authorise] = frozenset({_reader, key_holder, _any_reader, _administrator, _importer, _node})
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
DryRun = Annotated[bool, Query(description="Report what would change, without writing.")]
NodeReporter = Annotated[Caller, Depends(_node)]
