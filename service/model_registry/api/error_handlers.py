"""Which problem answers which error, and which class of it a route names for what it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import compile_path

from model_registry.api.guarded_route import TOO_DEEP
from model_registry.api.json_mistakes import json_mistake, wrong_content_type
from model_registry.api.problems import REFUSALS, bug_response, http_problem, problem_response, summary
from model_registry.api.shared_headers import SECURITY_HEADERS
from model_registry.api.unknown_input import FAULTS
from model_registry.entities.field_errors import Location, dotted, reasons_from
from model_registry.errors import Invalid, Reason, RegistryError

_CALLER_LEFT = 499
_INVALID = "__invalid__"

E = TypeVar("E", bound=Callable[..., Any])


def invalid_as(kind: type[Invalid]) -> Callable[[E], E]:
    """Name the class of what a route refuses, where its requests are not just `Invalid`."""

    def mark(endpoint: E) -> E:
        setattr(endpoint, _INVALID, kind)
        return endpoint

    return mark


def install_error_handlers(app: FastAPI) -> None:
    """Register the handlers that answer every error with problem details."""

    @app.exception_handler(RegistryError)
    async def _registry_error(request: Request, error: RegistryError) -> Response:
        if reason := REFUSALS.get(type(error)):
            request.app.state.service.metrics.refused(reason)
        return problem_response(error)

    @app.exception_handler(ClientDisconnect)
    async def _caller_left(request: Request, _error: ClientDisconnect) -> Response:
        request.app.state.service.metrics.refused("caller_left")
        return Response(status_code=_CALLER_LEFT)  # the connection is closed

    @app.exception_handler(RequestValidationError)
    async def _bad_request(request: Request, error: RequestValidationError) -> Response:
        others = _unreadable_body(request, error) or reasons_from(error.errors(), _place)
        reasons = (*request.scope.get(FAULTS, ()), *others)
        message = summary(reasons) or "The request is not valid."
        return problem_response(_invalid_of(request)(message, reasons=reasons))

    @app.exception_handler(HTTPException)
    async def _http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == 400:  # noqa: PLR2004 (FastAPI: the body could not be parsed)
            reason = Reason("body", error.detail if error.detail == TOO_DEEP else _unparsed(error.__cause__))
            return problem_response(_invalid_of(request)(str(reason), reasons=(reason,)))
        if error.status_code == 405:  # noqa: PLR2004
            headers = dict(error.headers or {})
            error.headers = headers | {"Allow": _methods(request, headers.get("Allow", ""))}
        return http_problem(error)

    @app.exception_handler(Exception)
    async def _bug(_request: Request, error: Exception) -> Response:
        response = bug_response(error)
        response.raw_headers += SECURITY_HEADERS  # Starlette sends this response outside all middleware
        return response


def _unparsed(cause: BaseException | None) -> str:
    """Return why a body that may be JSON could not be parsed: its bytes are no text, or a number has no end."""
    if isinstance(cause, ValueError) and "digits" in str(cause):
        return "holds a number of thousands of digits"
    return "is not valid JSON in UTF-8"


def _invalid_of(request: Request) -> type[Invalid]:
    kind: type[Invalid] = getattr(request.scope.get("endpoint"), _INVALID, Invalid)
    return kind


def _unreadable_body(request: Request, error: RequestValidationError) -> tuple[Reason, ...]:
    """Return why the whole body was not read: it is empty, no JSON, or does not claim to be JSON."""
    for detail in error.errors():
        if detail["type"] == "json_invalid":
            return (json_mistake(str(error.body), detail["loc"][-1], detail["ctx"]["error"]),)
        if detail["loc"] == ("body",) and isinstance(detail["input"], bytes):
            return (wrong_content_type(request.headers.get("content-type", "")),)
        if detail["loc"] == ("body",) and detail["type"] == "missing":
            return (json_mistake("", 0, ""),)
    return ()


def _place(location: Location) -> str:
    """Where in the body, the query or the path a value stands."""
    is_below = len(location) > 1 and location[0] in ("body", "query", "path")
    return dotted(location[1:] if is_below else location)


def _methods(request: Request, first: str) -> str:
    """The methods that a path knows. Starlette names those of the first route that fits, and we have one a method.

    A reference takes any path, so `/api/models/m/deployments` fits `/api/models/{reference}` too: the longer counts.
    """
    methods = {method.strip() for method in first.split(",")}
    documented = (r for r in request.app.routes if isinstance(r, APIRoute) and r.include_in_schema)
    fitting = [route for route in documented if _pattern(route.path_format).match(request.scope["path"])]
    longest = max((route.path_format.count("/") for route in fitting), default=0)
    for route in fitting:
        if route.path_format.count("/") == longest:
            methods |= route.methods or set()
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


def _pattern(template: str) -> re.Pattern[str]:
    return compile_path(template.replace("}", ":path}"))[0]
