"""Responses with the newest accepted configuration, in the requested form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from model_registry.api.app_state import AppState
from model_registry.api.cached_responses import CachedBody, etag_of, keep, matches, raw_headers
from model_registry.api.gateways.named_gateway import NOT_HERE, NamedGateway
from model_registry.errors import NothingAccepted
from model_registry.gateways.kind import Files
from model_registry.gateways.publishing.exclusions import Exclusion
from model_registry.gateways.publishing.published import Published, PublishedBody
from model_registry.gateways.publishing.publisher import ConfigPublisher
from model_registry.snapshot.snapshot import Snapshot

LONGEST_WAIT_SECONDS = 60
RESULT_SECONDS = 2.0
"""How long a response waits for the validation of a change; then the previous configuration is returned."""

Wait = Annotated[
    float | None,
    Query(
        ge=0,
        le=LONGEST_WAIT_SECONDS,
        description=(
            "With `If-None-Match`: wait up to this many seconds for a new configuration, then return 304. "
            f"By default a response waits up to {RESULT_SECONDS:.0f} s for the validation of the latest change; "
            "0 returns at once."
        ),
    ),
]


@dataclass(frozen=True, slots=True)
class _ServedBody(CachedBody):
    """A response valid while the same configuration is served, no validation is pending, and gateways are the same."""

    publisher: ConfigPublisher
    delivery: Published

    def holds(self, snapshot: Snapshot) -> bool:
        """Whether the answer would be the same today."""
        same = self.publisher.delivery is self.delivery and not self.publisher.pending
        return same and CachedBody.holds(self, snapshot)


@dataclass(frozen=True, slots=True)
class BodyWithExclusions(CachedBody):
    """A response that depends on the rows that validation refuses, besides its tables."""

    publisher: ConfigPublisher
    excluded: tuple[Exclusion, ...]

    @classmethod
    def of(cls, body: CachedBody, publisher: ConfigPublisher, excluded: tuple[Exclusion, ...]) -> BodyWithExclusions:
        """A body made with these exclusions, as long as no further row is refused, and none is mended."""
        shared = {each.name: getattr(body, each.name) for each in fields(body)}
        return cls(**shared, publisher=publisher, excluded=excluded)

    def holds(self, snapshot: Snapshot) -> bool:
        """Whether the answer would be the same today."""
        return self.publisher.excluded == self.excluded and CachedBody.holds(self, snapshot)


async def served_answer(
    request: Request,
    state: AppState,
    gateway: NamedGateway,
    media_type: str,
    make: Callable[[Files], bytes],
    wait: float | None,
) -> Response:
    """Answer with the served configuration in one form: 200 with an ETag, or 304 when the caller has it already.

    `make` makes the form, once per configuration and `media_type`. `wait` is the query's `Wait`.

    Errors: NothingAccepted, before the first and in the role dispatch; NotFound when the gateway goes meanwhile.
    """
    if state.settings.role == "dispatch":
        raise NothingAccepted(NOT_HERE)
    publisher, known = gateway.publisher, request.headers.get("if-none-match")

    def body() -> PublishedBody | None:
        served = publisher.delivery.served
        return served.body(media_type, lambda files: _body(make(files))) if served else None

    def is_news() -> bool:
        gone = not gateway.is_there(state.registry.snapshot)
        return gone or ((now := body()) is not None and not matches(known or "", now.etag))

    if wait is None or known is None:
        await publisher.until_validated(RESULT_SECONDS if wait is None else min(wait, RESULT_SECONDS))
    else:
        await publisher.until(is_news, wait)
    snapshot = gateway.expect_there(state.registry.snapshot)
    current, delivery = body(), publisher.delivery
    if current is None or delivery.served is None:
        raise _nothing(delivery)
    headers = _headers(publisher, delivery, delivery.served.revision, current.etag)
    if wait is None and not publisher.pending:
        keep(request, _cached(request, snapshot, current, media_type, headers, publisher))
    if known is not None and matches(known, current.etag):
        return Response(status_code=304, headers=headers)
    return Response(current.content, 200, headers, media_type)


def _headers(publisher: ConfigPublisher, delivery: Published, revision: int, etag: str) -> dict[str, str]:
    headers = {"X-Registry-Revision": str(revision)}
    if (refused := delivery.refused_revision) is not None:
        headers["X-Registry-Refused-Revision"] = str(refused)
    if delivery.excluded:
        headers["X-Registry-Excluded-Rows"] = str(len(delivery.excluded))
    named = delivery.served.variables if delivery.served else ()
    for header, variables in (("X-Registry-Variables", named), ("X-Registry-Missing-Variables", delivery.missing)):
        if variables:
            headers[header] = ", ".join(variable.name for variable in variables)
    if publisher.pending:
        headers["X-Registry-Pending-Revision"] = str(publisher.newest)
    return headers | {"ETag": etag, "Cache-Control": "no-cache"}


def _body(content: bytes) -> PublishedBody:
    return PublishedBody(content, etag_of(content))


def _nothing(delivery: Published) -> NothingAccepted:
    if delivery.refused is None:
        return NothingAccepted("The first configuration is still being checked. Ask again in a moment.")
    message = "The configuration was refused, and no earlier one was accepted. See the reasons."
    return NothingAccepted(message, reasons=delivery.refused.reasons)


def _cached(
    request: Request,
    snapshot: Snapshot,
    body: PublishedBody,
    media_type: str,
    headers: dict[str, str],
    publisher: ConfigPublisher,
) -> _ServedBody:
    return _ServedBody(
        tables=(("gateways", snapshot.tables["gateways"].stamp),),
        route=getattr(request.scope.get("route"), "path", ""),
        etag=body.etag,
        media_type=media_type,
        body=body.content,
        headers=raw_headers(headers),
        publisher=publisher,
        delivery=publisher.delivery,
    )
