"""The one table from the registry's errors to HTTP, and the one shape of every error: RFC 9457 problem details."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import compile_path

from model_registry.api.security_headers import SECURITY_HEADERS
from model_registry.entities.secret_values import masked_value
from model_registry.errors import (
    SHOWN_DATA,
    BodyTooLarge,
    Conflict,
    DeadlineExceeded,
    HeadersTooLarge,
    Incomplete,
    Invalid,
    InvalidEvent,
    InvalidModel,
    NotAllowed,
    NotAuthenticated,
    NotConfined,
    NotFound,
    NothingAccepted,
    PreconditionFailed,
    Reason,
    RegistryError,
    RequestTimeout,
    RevisionGone,
    StorageUnavailable,
    TooManyRequests,
    UrlTooLong,
)

log = structlog.get_logger(__name__)

STATUSES: dict[type[RegistryError], int] = {
    NotFound: 404,
    RevisionGone: 410,
    Conflict: 409,
    Invalid: 422,
    Incomplete: 400,
    PreconditionFailed: 412,
    NotAuthenticated: 401,
    NotAllowed: 403,
    RequestTimeout: 408,
    BodyTooLarge: 413,
    UrlTooLong: 414,
    TooManyRequests: 429,
    HeadersTooLarge: 431,
    DeadlineExceeded: 503,
    StorageUnavailable: 503,
    NothingAccepted: 503,
    NotConfined: 503,
    RegistryError: 500,
}
"""A class that is not here has the status of its nearest ancestor."""

REFUSALS: dict[type[RegistryError], str] = {
    NotAuthenticated: "no_key",
    NotAllowed: "scope",
    BodyTooLarge: "body_too_large",
    TooManyRequests: "busy",
    DeadlineExceeded: "deadline",
}
"""As the metrics name them."""

_CALLER_LEFT = 499
RETRY_AFTER_SECONDS = 5
_RETRIED = frozenset({429, 503})
"""Statuses after which the same request may well succeed."""
MOST_REASONS = 100
"""Reasons of one problem. Who has more mistakes than that corrects these first."""
_LONGEST_MESSAGE = 2000
_LONGEST_DETAIL = 8000
"""Characters. Messages quote what callers sent: an answer must not grow with the question."""
MEDIA_TYPE = "application/problem+json"
_IN_SUMMARY = 20


class ProblemReason(BaseModel):
    """One thing that is wrong, and where."""

    where: str
    message: str


class Problem(BaseModel):
    """What every error answers (RFC 9457)."""

    type: str = Field(examples=["urn:model-registry:E4001"])
    title: str = Field(examples=["Model not found"])
    status: int = Field(examples=[404])
    code: str = Field(examples=["E4001"], description="Stable: programs may depend on it.")
    detail: str = Field(examples=["There is no model 'gpt-5'."])
    reasons: list[ProblemReason] = []
    matches: list[dict[str, str]] | None = None
    referrers: list[str] | None = None
    allowed: list[str] | None = None
    oldest: int | None = Field(None, description="The oldest revision that can be had.")
    newest: int | None = Field(None, description="The newest revision there is.")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's documentation: the problems it may answer."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _TITLES[status], "content": content} for status in statuses}


_TITLES = {
    400: "Something that is needed is missing",
    401: "A valid API key is needed",
    403: "The key does not allow this",
    404: "Not found",
    405: "The path does not know this method",
    409: "In conflict with what the registry holds",
    408: "The request did not arrive in time",
    410: "The revision is no longer kept",
    412: "The row has changed since it was read",
    413: "The body is too large",
    414: "The URL is too long",
    422: "Not valid; the reasons say what is wrong where",
    429: "Too many requests at once; Retry-After says when to ask again",
    431: "The headers are too large",
    500: "The registry failed",
    503: "The database cannot be reached; reads go on",
}


def status_of(error: RegistryError) -> int:
    """The HTTP status of an error."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def problem_response(error: RegistryError) -> Response:
    """An error as the caller sees it. Server-side failures are logged with what the storage said."""
    status = status_of(error)
    if status >= 500:  # noqa: PLR2004
        log.warning("request failed", code=error.code, error=error.message, storage=error.data.get("storage"))
    headers = {}
    if status in _RETRIED:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.data.get("retry_after", 1))
    if status == STATUSES[NotAuthenticated]:
        headers["WWW-Authenticate"] = "Bearer"
    return _response(status, error.code, error.title(), error.message, error.reasons, headers, error.data)


def problem_bytes(error: RegistryError) -> bytes:
    """An error as a whole HTTP/1.1 answer, for requests that never become one of the application's."""
    response = problem_response(error)
    phrase = HTTPStatus(response.status_code).phrase
    lines = [b"HTTP/1.1 %d %b" % (response.status_code, phrase.encode())]
    lines += [b"%b: %b" % header for header in response.raw_headers]
    return b"\r\n".join([*lines, b"connection: close", b"", bytes(response.body)])


def _response(
    status: int,
    code: str,
    title: str,
    detail: str,
    reasons: tuple[Reason, ...] = (),
    headers: dict[str, str] | None = None,
    data: dict[str, Any] | None = None,
) -> Response:
    body = {
        "type": f"urn:model-registry:{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": _cut(detail, _LONGEST_DETAIL),
        "reasons": _shown_reasons(reasons),
    }
    body |= {key: _first(data[key]) for key in SHOWN_DATA if data and key in data}
    body, _ = masked_value(body)  # a message may quote what it is about, and answers end in logs
    return Response(_dumped(body), status, headers, MEDIA_TYPE)


def _shown_reasons(reasons: tuple[Reason, ...]) -> list[dict[str, str]]:
    shown = [
        {"where": _cut(r.where, _LONGEST_MESSAGE), "message": _cut(r.message, _LONGEST_MESSAGE)}
        for r in reasons[:MOST_REASONS]
    ]
    if (more := len(reasons) - MOST_REASONS) > 0:
        shown.append({"where": "", "message": f"{more:,} more reasons are not shown; correct these first"})
    return shown


def _first(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    return list(value[:MOST_REASONS]) if isinstance(value, list | tuple) else value


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text) - longest:,} more characters)"


def summary(reasons: tuple[Reason, ...]) -> str:
    """The first reasons as one line."""
    first = "; ".join(map(str, reasons[:_IN_SUMMARY]))
    return first + (f" (and {len(reasons) - _IN_SUMMARY:,} more)" if len(reasons) > _IN_SUMMARY else "")


def _dumped(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # half a surrogate pair that came in from outside
        return orjson.dumps(_cleaned(body))


def _cleaned(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {key: _cleaned(item) for key, item in value.items()}
        case list():
            return [_cleaned(item) for item in value]
    return value


def http_problem(error: HTTPException) -> Response:
    """What goes wrong before a request reaches the registry: no such path, no such method, too large."""
    title = _TITLES.get(error.status_code, "The request failed")
    code = NotFound.code if error.status_code == STATUSES[NotFound] else f"E{error.status_code}0"
    return _response(error.status_code, code, title, str(error.detail), headers=dict(error.headers or {}))


def _methods(request: Request, first: str) -> str:
    """The methods that a path knows. Starlette names those of the first route that fits, and we have one a method.

    A reference takes any path, so `/api/models/m/deployments` fits `/api/models/{reference}` too: the longer counts.
    """
    methods = {method.strip() for method in first.split(",")}
    paths: dict[str, Any] = request.app.openapi()["paths"]
    fitting = [path for path in paths if _pattern(path).match(request.scope["path"])]
    longest = max((path.count("/") for path in fitting), default=0)
    for path in fitting:
        if path.count("/") == longest:
            methods |= {method.upper() for method in paths[path]}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


def _pattern(template: str) -> re.Pattern[str]:
    return compile_path(template.replace("}", ":path}"))[0]


def install(app: FastAPI) -> None:
    """Make the app answer every error in this shape."""

    @app.exception_handler(RegistryError)
    async def _registry_error(request: Request, error: RegistryError) -> Response:
        if reason := REFUSALS.get(type(error)):
            request.app.state.service.metrics.refused(reason)
        return problem_response(error)

    @app.exception_handler(ClientDisconnect)
    async def _caller_left(request: Request, _error: ClientDisconnect) -> Response:
        request.app.state.service.metrics.refused("caller_left")
        return Response(status_code=_CALLER_LEFT)  # nobody reads it

    @app.exception_handler(RequestValidationError)
    async def _bad_request(request: Request, error: RequestValidationError) -> Response:
        reasons = tuple(
            Reason(_place(found["loc"]), str(found["msg"]).removeprefix("Value error, ")) for found in error.errors()
        )
        message = summary(reasons) or "The request is not valid."
        return problem_response(_kind_of(request)(message, reasons=reasons))

    @app.exception_handler(HTTPException)
    async def _http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == 400:  # noqa: PLR2004 (FastAPI's word for a body that it could not parse)
            reason = Reason("body", "is not JSON in UTF-8, or nested too deep")
            return problem_response(_kind_of(request)(str(reason), reasons=(reason,)))
        if error.status_code == 405:  # noqa: PLR2004
            headers = dict(error.headers or {})
            error.headers = headers | {"Allow": _methods(request, headers.get("Allow", ""))}
        return http_problem(error)

    @app.exception_handler(Exception)
    async def _bug(_request: Request, error: Exception) -> Response:
        # A bug of ours. The trace goes to the log, never to the caller.
        log.error("unexpected error", exc_info=error)
        response = _response(500, RegistryError.code, RegistryError.title(), "An unexpected error; the log has it.")
        response.raw_headers += SECURITY_HEADERS  # Starlette answers this one outside of all middleware
        return response


def _kind_of(request: Request) -> type[Invalid]:
    path = request.scope["path"]
    if request.scope["method"] == "GET" or path == "/api/models/select":
        return Invalid
    return InvalidModel if path.startswith("/api/models") else InvalidEvent if "deployments" in path else Invalid


def _place(location: tuple[Any, ...]) -> str:
    parts = [str(part) for part in location]
    return ".".join(parts[1:] if parts and parts[0] in ("body", "query", "path") and len(parts) > 1 else parts)
