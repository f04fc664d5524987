"""Translate the registry's errors to HTTP: one table of statuses, one format (RFC 9457 problem details)."""

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
    SHOWN_DATA,
    BodyTooLarge,
    Conflict,
    ConflictReason,
    DeadlineExceeded,
    DispatchError,
    DispatchLoop,
    HeadersTooLarge,
    Incomplete,
    Invalid,
    MethodNotAllowed,
    NoInstance,
    NotAllowed,
    NotAuthenticated,
    NotConfined,
    NotFound,
    NothingAccepted,
    PreconditionFailed,
    ProtocolUnsupported,
    QueueFull,
    Reason,
    RegistryError,
    RequestTimeout,
    RevisionGone,
    SourceUnreadable,
    StorageUnavailable,
    TooManyRequests,
    UpstreamTimeout,
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
    DispatchError: 502,
    NoInstance: 503,
    QueueFull: 503,
    UpstreamTimeout: 504,
    ProtocolUnsupported: 501,
    DispatchLoop: 508,
    NothingAccepted: 503,
    SourceUnreadable: 502,
    NotConfined: 503,
    RegistryError: 500,
}
"""A class missing here has the status of its nearest ancestor."""

REFUSALS: dict[type[RegistryError], str] = {
    NotAuthenticated: "no_key",
    NotAllowed: "scope",
    BodyTooLarge: "body_too_large",
    TooManyRequests: "busy",
    DeadlineExceeded: "deadline",
}
"""Labels of the refusals metric."""

RETRY_AFTER_SECONDS = 5
_RETRIED = frozenset({429, 503})
"""Statuses after which a retry of the same request may succeed."""
MOST_REASONS = 100
"""Most reasons in one problem document; the rest are counted."""
_LONGEST_MESSAGE = 2000
_LONGEST_DETAIL = 8000
"""Characters. Messages quote the request: a response must not grow with it."""
MEDIA_TYPE = "application/problem+json"
_IN_SUMMARY = 20
_CODES = {STATUSES[kind]: kind.code for kind in (NotFound, MethodNotAllowed)}
"""Of what HTTP itself refuses."""


class ProblemReason(BaseModel):
    """One thing that is wrong, and where."""

    where: str
    message: str
    registry: str | None = Field(None, description="Of a conflict: what the registry has there, as JSON.")
    project: str | None = Field(None, description="Of a conflict: what the imported project has there.")


class Problem(BaseModel):
    """Problem details (RFC 9457), the body of every error response."""

    type: str = Field(examples=["urn:model-registry:E4001"])
    title: str = Field(examples=["Model not found"])
    status: int = Field(examples=[404])
    code: str = Field(examples=["E4001"], description="Stable error code; safe to match on.")
    detail: str = Field(examples=["There is no model 'gpt-5'."])
    reasons: list[ProblemReason] = []
    matches: list[dict[str, str]] | None = None
    referrers: list[str] | None = None
    allowed: list[str] | None = None
    oldest: int | None = Field(None, description="Oldest revision still available.")
    newest: int | None = Field(None, description="Newest revision.")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problem responses of a route, for its OpenAPI documentation."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _TITLES[status], "content": content} for status in statuses}


_TITLES = {
    400: "Required value missing",
    401: "A valid API key is required",
    403: "Not permitted with this API key",
    404: "Not found",
    405: MethodNotAllowed.title(),
    409: "Conflict with the current state of the registry",
    408: "The request did not arrive in time",
    410: "Revision no longer available",
    412: "The row has changed since it was read",
    413: "Request body too large",
    414: "URL too long",
    422: "Validation failed; `reasons` lists each fault and its place",
    429: "Too many requests at once; retry after the number of seconds in Retry-After",
    431: "Request headers too large",
    500: "The registry failed",
    501: "The provider speaks another protocol",
    502: "The upstream failed, or whether it carried the request out is unknown",
    503: "Database unavailable; reads continue from the last snapshot",
    504: "The upstream did not answer in time",
    508: "The request came back to the registry that sent it",
}


def status_of(error: RegistryError) -> int:
    """The HTTP status of an error."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def problem_response(error: RegistryError) -> Response:
    """Build the response to an error. Server-side failures are logged with the storage's own message."""
    status = status_of(error)
    if status >= 500:  # noqa: PLR2004
        cause = {"storage": error.data["storage"]} if "storage" in error.data else {}
        log.warning("request failed", code=error.code, error=error.message, **cause)
    headers = {}
    if status in _RETRIED:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if isinstance(error, TooManyRequests) or "retry_after" in error.data:
        headers["Retry-After"] = str(error.data.get("retry_after", 1))
    if status == STATUSES[NotAuthenticated]:
        headers["WWW-Authenticate"] = "Bearer"
    return _response(status, error.code, error.title(), error.message, error.reasons, headers, error.data)


def problem_bytes(error: RegistryError) -> bytes:
    """An error as a complete HTTP/1.1 response, for requests refused before they reach the application."""
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
    body, _ = masked_value(body)  # messages quote the request, and responses end up in logs
    return Response(_dumped(body), status, headers, MEDIA_TYPE)


def _shown_reasons(reasons: tuple[Reason, ...]) -> list[dict[str, str]]:
    shown = [_shown_reason(reason) for reason in reasons[:MOST_REASONS]]
    if (more := len(reasons) - MOST_REASONS) > 0:
        shown.append({"where": "", "message": f"{more:,} more reasons are not shown; fix these first"})
    return shown


def _shown_reason(reason: Reason) -> dict[str, str]:
    texts = {"where": reason.where, "message": reason.message}
    if isinstance(reason, ConflictReason):
        texts |= {"registry": reason.registry, "project": reason.project}
    return {name: _cut(text, _LONGEST_MESSAGE) for name, text in texts.items()}


def _first(value: object) -> object:
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
    except TypeError:  # half a surrogate pair from the request
        return orjson.dumps(_cleaned(body))


def _cleaned(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {key: _cleaned(item) for key, item in value.items()}
        case list():
            return [_cleaned(item) for item in value]
    return value


def bug_response(error: Exception) -> Response:
    """The response to a bug. The traceback goes to the log, never to the caller."""
    log.error("unexpected error", exc_info=error)
    return _response(
        500, RegistryError.code, RegistryError.title(), "An unexpected error occurred; details are in the service log."
    )


def http_problem(error: HTTPException) -> Response:
    """The response to an error raised by the framework: unknown path, unknown method, body too large."""
    status = error.status_code
    title = _TITLES.get(status, "The request failed")
    code = _CODES.get(status, f"E{status}0")
    return _response(status, code, title, str(error.detail), headers=dict(error.headers or {}))
