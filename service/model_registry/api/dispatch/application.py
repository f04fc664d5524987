"""The table of the paths that are dispatched, and what all of them share. Called before FastAPI.

FastAPI's way to a route costs more than passing the request on. Here, in this order: does this replica dispatch, has
the request been here before, who asks, and may they; only then is the body read.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from model_registry.api.app_state import AppState
from model_registry.api.dispatch.door import Door
from model_registry.api.dispatch.request import DispatchRequest
from model_registry.api.http_protocol import CONNECTION
from model_registry.api.long_work import Room
from model_registry.api.problems import REFUSALS, bug_response
from model_registry.api.response_heads import ResponseCycle
from model_registry.api.shared_headers import SECURITY_HEADERS, private
from model_registry.errors import (
    DispatchLoop,
    Invalid,
    MethodNotAllowed,
    NotFound,
    OutcomeUnknown,
    Reason,
    RegistryError,
    UpstreamFailed,
    UpstreamTimeout,
)
from model_registry.services.dispatch.caller_body import KEPT_BYTES, CallerLeft
from model_registry.services.dispatch.header_rules import HOPS, is_looping
from model_registry.services.dispatch.kept_answers import KeptAnswers, Key, Promise

log = structlog.get_logger(__name__)

ROOM_BYTES = 256 * 2**20
"""For all large bodies that are held at once."""
_CALLER_LEFT = 499
_KEY = b"idempotency-key"
_LONGEST_KEY = 255
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_PASSED_ON = _SAFE | {"POST", "PUT", "PATCH", "DELETE"}
_NEVER_PASSED_ON = frozenset({"TRACE", "CONNECT"})
"""One shows what was added on the way, the other asks for a tunnel."""
_MAYBE_DONE = (OutcomeUnknown, UpstreamFailed, UpstreamTimeout)
"""Errors of requests that may have been carried out."""
_NOT_DONE = frozenset({429, 503})
"""Statuses of an upstream that has not carried a request out."""


class DispatchApplication:
    """Answers the requests of the paths in `doors`. A key that ends with a slash takes everything below it."""

    def __init__(self, state: AppState, doors: Mapping[str, Door]) -> None:
        self._state = state
        self._doors = {path: door for path, door in doors.items() if not path.endswith("/")}
        self._below = [(path, door) for path, door in doors.items() if path.endswith("/")]
        self._replica = state.registry.origin.encode("ascii", "replace")
        self._is_control = state.settings.role == "control"
        self._room = Room(ROOM_BYTES)
        self._kept = KeptAnswers()

    def door(self, path: str) -> Door | None:
        """What takes this path; None for a path that is not dispatched."""
        found = self._doors.get(path)
        if found is None:
            for prefix, door in self._below:
                if path.startswith(prefix):
                    return door
        return found

    async def __call__(
        self, door: Door, scope: Scope, receive: Receive, send: Send, cycle: ResponseCycle | None = None
    ) -> None:
        """Answer one request. With its `cycle`, what is whole is taken and sent in one piece."""
        asked = dict(reversed(scope["headers"]))  # reversed: of a header that is repeated the first counts
        request = DispatchRequest(scope, receive, send, asked, self._replica, self._room, cycle)
        connection, task = scope.get(CONNECTION), asyncio.current_task()
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
            request.leave()
            self._count(door, request)

    async def _answer(self, door: Door, request: DispatchRequest) -> None:
        try:
            await self._admit(door, request)
            if _KEY in request.asked and request.method not in _SAFE:
                await self._answer_once(door, request, request.asked[_KEY])
            else:
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
        hops = request.asked.get(HOPS)
        if hops is not None and is_looping(hops, self._replica):
            raise DispatchLoop("An address that requests are sent to leads back to this registry.")
        authenticator = self._state.authenticator
        if not self._is_control or not authenticator.reads_are_open:  # else there is nothing to keep from anybody
            request.caller = await authenticator.require_dispatch(request.asked)
        if self._is_control:
            raise NotFound("This replica has the role `control`: it dispatches no requests. Ask one with another role.")
        methods = _PASSED_ON if door.methods is None and request.method in _NEVER_PASSED_ON else door.methods
        if methods is not None and request.method not in methods:
            allowed = ", ".join(sorted(methods))
            raise MethodNotAllowed(f"{door.route} takes {allowed} only.", allow=allowed)

    async def _answer_once(self, door: Door, request: DispatchRequest, given: bytes) -> None:
        """Answer a request with an Idempotency-Key: the first is carried out, others get its answer.

        Errors: RepeatedRequest, Invalid, those of the door.
        """
        if len(given) > _LONGEST_KEY:
            message = f"is longer than {_LONGEST_KEY} characters"
            raise Invalid(f"Idempotency-Key: {message}", reasons=[Reason("Idempotency-Key", message)])
        begun, _ = await request.read(KEPT_BYTES)
        length = request.asked.get(b"content-length", b"")
        start = begun[:KEPT_BYTES]  # of the rest, more or less has come by chance
        print_ = hashlib.sha256(b"\0".join([request.method.encode(), request.scope["query_string"], length, start]))
        key: Key = (request.caller.name, request.scope["raw_path"].decode("latin-1"), given)
        promise, is_first = await self._kept.begin(key, print_.digest())
        if is_first:
            await self._keep(door, request, key, promise)
            return
        await request.replay(promise.messages or ())

    async def _keep(self, door: Door, request: DispatchRequest, key: Key, promise: Promise) -> None:
        """Answer, and keep what was answered, unless nothing was carried out."""
        request.replies = []
        answer = None
        try:
            try:
                await door.handle(request)
            except RegistryError as error:
                if request.status == 0 and not isinstance(error, _MAYBE_DONE):
                    request.sent = False
                    raise
                await self._refuse(door, request, error)
            if request.status in _NOT_DONE:
                request.sent = False
            if request.replies and not request.replies[-1].get("more_body", False):
                answer = request.replies
        finally:
            self._kept.end(key, promise, answer, sent=request.sent is not False)

    async def _refuse(self, door: Door, request: DispatchRequest, error: RegistryError) -> None:
        if request.status:  # too late for another answer: the connection is closed in the middle of it
            log.warning("a response broke off", route=door.route, name=request.name, error=error.message)
            return
        await self._send(request, door.problem(error), error)

    async def _send(self, request: DispatchRequest, response: Response, error: RegistryError | None = None) -> None:
        request.status = response.status_code
        facts = error.data if error is not None else {}
        headers = private([*response.raw_headers, *SECURITY_HEADERS])
        if "attempts" in facts:
            headers.append((b"x-registry-attempts", b"%d" % facts["attempts"]))
        if "service" in facts:
            headers.append((b"x-registry-service", facts["service"].encode("ascii", "backslashreplace")))
        if "allow" in facts:
            headers.append((b"allow", facts["allow"].encode()))
        await request.send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        body = b"" if request.method == "HEAD" else bytes(response.body)
        await request.send({"type": "http.response.body", "body": body})

    def _count(self, door: Door, request: DispatchRequest) -> None:
        seconds = time.perf_counter() - request.started
        self._state.metrics.request(request.method, door.route, request.status, seconds)
        counted = self._state.dispatch_metrics
        counted.request(request.name, request.capability, request.status, seconds)
        if request.upstream_seconds:
            counted.answered(request.name, request.capability, request.upstream_seconds, request.overhead_seconds)
        if request.status >= 400:  # noqa: PLR2004
            seen = {"path": request.scope["path"], "status": request.status, "seconds": round(seconds, 4)}
            log.info("request", method=request.method, name=request.name, **seen)
