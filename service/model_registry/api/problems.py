"""The one table from the registry's errors to HTTP, and the one shape of every error: RFC 9457 problem details."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
import structlog
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from model_registry.entities.secret_values import masked_value
from model_registry.errors import (
    BodyTooLarge,
    Conflict,
    DeadlineExceeded,
    HeadersTooLarge,
    Incomplete,
    Invalid,
    MethodNotAllowed,
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
    MethodNotAllowed: 405,
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
_CODES = {STATUSES[kind]: kind.code for kind in (NotFound, MethodNotAllowed)}
"""Of what HTTP itself refuses."""
_SHOWN = ("matches", "referrers", "allowed", "oldest", "newest")
"""What of an error's data the caller sees. The rest is for the log."""


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
    405: MethodNotAllowed.title(),
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
    body |= {key: _first(data[key]) for key in _SHOWN if data and key in data}
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


def bug_response(error: Exception) -> Response:
    """Answer to a bug of ours. The trace goes to the log, never to the caller."""
    log.error("unexpected error", exc_info=error)
    return _response(500, RegistryError.code, RegistryError.title(), "An unexpected error; the log has it.")


def http_problem(error: HTTPException) -> Response:
    """What goes wrong before a request reaches the registry: no such path, no such method, too large."""
    status = error.status_code
    title = _TITLES.get(status, "The request failed")
    code = _CODES.get(status, f"E{status}0")
    return _response(status, code, title, str(error.detail), headers=dict(error.headers or {}))
