"""The table of the paths that are dispatched, and what all of them share. Called in front of FastAPI.

FastAPI's way to a route costs more than passing the request on. Here, in this order: is the path dispatched by this
replica, has the request been here before, who asks, and may they; only then is the body read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from model_registry.api.app_state import AppState
from model_registry.api.dispatch.door import Door
from model_registry.api.dispatch.request import DispatchRequest
from model_registry.api.http_protocol import CONNECTION
from model_registry.api.problems import REFUSALS, bug_response
from model_registry.api.shared_headers import SECURITY_HEADERS
from model_registry.errors import DispatchLoop, MethodNotAllowed, NotFound, RegistryError
from model_registry.services.dispatch.caller_body import CallerLeft
from model_registry.services.dispatch.header_rules import HOPS, is_looping

log = structlog.get_logger(__name__)

_CALLER_LEFT = 499


class DispatchApplication:
    """Answers the requests of the paths in `doors`. A key that ends with a slash takes everything below it."""

    def __init__(self, state: AppState, doors: Mapping[str, Door]) -> None:
        self._state = state
        self._doors = {path: door for path, door in doors.items() if not path.endswith("/")}
        self._below = [(path, door) for path, door in doors.items() if path.endswith("/")]
        self._replica = state.registry.origin.encode("ascii", "replace")
        self._is_control = state.settings.role == "control"

    def door(self, path: str) -> Door | None:
        """What takes this path; None for a path that is not dispatched."""
        found = self._doors.get(path)
        if found is None:
            for prefix, door in self._below:
                if path.startswith(prefix):
                    return door
        return found

    async def __call__(self, door: Door, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        asked = dict(reversed(scope["headers"]))  # reversed: of a header that is repeated the first counts
        request = DispatchRequest(scope, receive, send, asked, self._replica)
        connection = scope.get(CONNECTION)
        task = asyncio.current_task()
        if connection is not None and task is not None:
            connection.on_hang_up(task.cancel)
        try:
            await self._answer(door, request)
        except CallerLeft:
            request.status = _CALLER_LEFT
        except asyncio.CancelledError:
            if connection is None or task is None or not connection.hung_up:
                raise
            task.uncancel()
            request.status = _CALLER_LEFT
        finally:
            if connection is not None:
                connection.on_hang_up(None)
            self._count(door, request)

    async def _answer(self, door: Door, request: DispatchRequest) -> None:
        try:
            await self._admit(door, request)
            await door.handle(request)
        except RegistryError as error:
            if reason := REFUSALS.get(type(error)):
                self._state.metrics.refused(reason)
            await self._refuse(door, request, error)
        except Exception as error:
            if request.status:
                log.exception("unexpected error in the middle of a response")
                return
            await self._send(request, bug_response(error))

    async def _admit(self, door: Door, request: DispatchRequest) -> None:
        """Errors: NotFound, MethodNotAllowed, DispatchLoop, NotAuthenticated, NotAllowed."""
        if self._is_control:
            raise NotFound("This replica has the role `control`: it dispatches no requests. Ask one with another role.")
        if door.methods is not None and request.method not in door.methods:
            allowed = ", ".join(sorted(door.methods))
            raise MethodNotAllowed(f"{door.route} takes {allowed} only.", allow=allowed)
        hops = request.asked.get(HOPS)
        if hops is not None and is_looping(hops, self._replica):
            raise DispatchLoop("An address that requests are sent to leads back to this registry.")
        request.caller = await self._state.authenticator.require_dispatch(request.connection)

    async def _refuse(self, door: Door, request: DispatchRequest, error: RegistryError) -> None:
        if request.status:  # too late for another answer: the connection is closed in the middle of it
            log.warning("a response broke off", route=door.route, name=request.name, error=error.message)
            return
        await self._send(request, door.problem(error), error)

    async def _send(self, request: DispatchRequest, response: Response, error: RegistryError | None = None) -> None:
        request.status = response.status_code
        facts = error.data if error is not None else {}
        headers = [*response.raw_headers, *SECURITY_HEADERS]
        if "attempts" in facts:
            headers.append((b"x-registry-attempts", b"%d" % facts["attempts"]))
            headers.append((b"x-registry-service", facts["service"].encode("ascii", "backslashreplace")))
        if "allow" in facts:
            headers.append((b"allow", facts["allow"].encode()))
        await request.send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        body = b"" if request.method == "HEAD" else bytes(response.body)
        await request.send({"type": "http.response.body", "body": body})

    def _count(self, door: Door, request: DispatchRequest) -> None:
        seconds = time.perf_counter() - request.started
        self._state.metrics.request(request.method, door.route, request.status, seconds)
        if request.status >= 400:  # noqa: PLR2004
            seen = {"path": request.scope["path"], "status": request.status, "seconds": round(seconds, 4)}
            log.info("request", method=request.method, name=request.name, **seen)
