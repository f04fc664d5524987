"""Which requests a route lets in: from whom, with how large a body, and without anything that the route does not know.

FastAPI reads and parses a body before it looks at a dependency. Every route of ours is a `GuardedRoute`, which runs the
dependency that authorises (`Reader`, `Administrator`, ...) first, and then reads no more than the route's limit. How
deep JSON is nested and how many values it holds is counted in its bytes, before it is parsed. Unknown parameters and
fields are refused together with what else is wrong, by the rules of `unknown_input.py`.
"""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Callable, Coroutine, Iterator
from functools import cached_property
from typing import Any, NoReturn, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from model_registry.api import auth
from model_registry.api.app_state import AppState
from model_registry.api.long_work import LongWork
from model_registry.api.unknown_input import FAULTS, Parameters, body_faults
from model_registry.errors import BodyTooLarge, NotFound, Reason

QUESTION_BYTES = 64 * 2**10
"""Select, estimate, validate: questions that anybody may ask."""
ROW_BYTES = 256 * 2**10
"""One row. What no route says otherwise."""
PROJECT_BYTES = 32 * 2**20
"""Check, imports, documents. A whole TensorZero project is far smaller."""

_LIMIT = "__body_limit__"
_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE"})
_INLINE_BYTES = 256 * 2**10
"""A body up to here is parsed where it arrives; a larger one in a thread, because it takes tens of milliseconds."""

DEEPEST = 64
"""Levels. A row's own JSON may have 32, a project's file none."""
TOO_DEEP = f"is nested too deeply: at most {DEEPEST} levels"
MOST_VALUES = 2_000_000
"""An import of 100,000 models has fewer. As Python objects they take some 200 MB."""

_STRING = rb'"[^"\\]*+(?:\\.?[^"\\]*+)*+"?'
"""A string that does not end goes to the end of the body: every quote begins a match that succeeds. If one could fail,
the next quote inside would be tried, and so on: 64 KB would take a quarter of a minute, in one call."""
_STRINGS = re.compile(_STRING, re.DOTALL)
_SOME = re.compile(rb'(?:[^"]*+' + _STRING + rb"){1,1000}+", re.DOTALL)
"""At most a thousand strings: a call holds the interpreter's lock until it returns, and millions take long."""
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SAME = bytes.maketrans(b"{}", b"[]")

E = TypeVar("E", bound=Callable[..., Any])
T = TypeVar("T")


def body_limit(size: int) -> Callable[[E], E]:
    """Say how many bytes a route's body may have, where it is not a row."""

    def mark(endpoint: E) -> E:
        setattr(endpoint, _LIMIT, size)
        return endpoint

    return mark


class GuardedRoute(APIRoute):
    """A route that authorises before it reads the body, and reads no more than its limit."""

    @property
    def authorise(self) -> auth.Authorise | None:
        """The dependency that says who may call the route; None for the few that are open to everybody."""
        return next((found for d in self.dependant.dependencies if (found := d.call) in auth.AUTHORISERS), None)

    @property
    def body_limit(self) -> int:
        """The most bytes that the body may have."""
        return int(getattr(self.endpoint, _LIMIT, ROW_BYTES))

    @cached_property
    def _literal(self) -> str:
        """The beginning of the path that every request for the route has."""
        return self.path.partition("{")[0]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the route takes a request. The first letters rule most out, in a tenth of the time of a pattern."""
        if not scope.get("root_path") and not scope["path"].startswith(self._literal):
            return Match.NONE, {}
        return super().matches(scope)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, behind the guard."""
        answer, refuse = super().get_route_handler(), self._refusal()
        authorise, limit = self.authorise, self.body_limit
        reads_body = not (self.methods or set()) <= _WITHOUT_BODY
        parameters = Parameters(self.path, self.dependant)

        async def guarded(request: Request) -> Response:
            if authorise in auth.WRITERS and _state(request).settings.role == "dispatch":
                raise NotFound("This replica has the role `dispatch`: it takes no writes. Ask one with another role.")
            if authorise is not None:
                await authorise(request)
            faults = parameters.faults(request.query_params) if request.scope["query_string"] else []
            if not reads_body:
                request.scope[FAULTS] = faults
                return await (refuse if faults else answer)(request)
            limited = _LimitedRequest(request.scope, request.receive)
            try:
                await limited.read(limit)
                if self.body_field is not None:
                    faults += await limited.unknown(self.path, self.body_field.field_info.annotation)
                request.scope[FAULTS] = faults
                return await (refuse if faults else answer)(limited)
            except ClientDisconnect:
                return Response(status_code=400)  # nobody is there to read it
            finally:
                limited.leave()

        return guarded

    def _refusal(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler with an endpoint that refuses, so that what else is wrong is named too."""
        twin = copy.copy(self)
        twin.dependant = dataclasses.replace(self.dependant, call=_refuse)
        return super(GuardedRoute, twin).get_route_handler()


def _state(request: Request) -> AppState:
    state: AppState = request.app.state.service
    return state


async def _refuse(**_values: object) -> NoReturn:
    raise RequestValidationError([])


class _LimitedRequest(Request):
    """A request whose body is read once, up to a limit."""

    _held = 0
    """Bytes of the room for large bodies."""

    async def read(self, limit: int) -> None:
        """Read the body. Errors: BodyTooLarge; HTTPException (400) for JSON that is nested too deep."""
        length = self.headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            self._refuse(limit)
        parts, size = [], 0
        async for part in self.stream():
            size += len(part)
            if size > limit:
                self._refuse(limit)
            if limit > ROW_BYTES:
                self._work.bodies.take(len(part))
                self._held += len(part)
            parts.append(part)
        self._body = b"".join(parts)
        if "json" not in self.headers.get("content-type", "json"):
            return
        if await self._off_loop(too_many_values, self._body):
            raise BodyTooLarge("The body contains too many values. Split it into several requests.")
        if await self._off_loop(too_deep, self._body):
            raise HTTPException(400, TOO_DEEP)

    async def json(self) -> Any:  # noqa: ANN401 (any JSON)
        """The body, parsed: by a parser that takes a third of the time, and lets half a surrogate pair to the other."""
        if not hasattr(self, "_json"):
            try:
                self._json = await self._off_loop(from_json, self._body)
            except ValueError:
                return await super().json()
        return self._json

    async def unknown(self, path: str, shape: object) -> list[Reason]:
        """The fields of the body that its shape does not have. What is no JSON is refused elsewhere."""
        if "json" not in self.headers.get("content-type", ""):
            return []
        try:
            value = await self.json()
        except (ValueError, RecursionError):
            return []
        return await self._off_loop(lambda _: body_faults(path, value, shape), self._body)

    def leave(self) -> None:
        """Give back the room that the body took."""
        self._work.bodies.give_back(self._held)
        self._held = 0

    @property
    def _work(self) -> LongWork:
        state: AppState = self.app.state.service
        return state.work

    async def _off_loop(self, work: Callable[[bytes], T], body: bytes) -> T:
        if len(body) <= _INLINE_BYTES:
            return work(body)
        return await self._work.parsing.run(work, body)

    def _refuse(self, limit: int) -> None:
        size = f"{limit // 2**20} MiB" if limit >= 2**20 else f"{limit // 2**10} KiB"
        raise BodyTooLarge(f"The body is larger than {size}, the limit of {self.url.path}.")


def too_deep(body: bytes) -> bool:
    """Whether it is nested more than `DEEPEST` levels."""
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return False
    brackets = b"".join(_without_strings(body)).translate(_SAME, _NO_BRACKETS)
    for _ in range(DEEPEST):  # each time the innermost level goes
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return b"[" in brackets


def too_many_values(body: bytes, most: int | None = None) -> bool:
    """Whether it holds more values than this; `MOST_VALUES` by default."""
    most = MOST_VALUES if most is None else most
    if _values(body) <= most:
        return False
    found = 0
    return any((found := found + _values(piece)) > most for piece in _without_strings(body))


def _values(body: bytes) -> int:
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _without_strings(body: bytes) -> Iterator[bytes]:
    """The body but its strings, piece by piece: who has seen enough need not look at all of it."""
    at = 0
    while some := _SOME.match(body, at):
        yield _STRINGS.sub(b"", some[0])
        at = some.end()
    yield body[at:]
