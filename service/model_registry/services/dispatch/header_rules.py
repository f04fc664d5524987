"""Which headers pass between a caller and an upstream, and which are added. Pure.

Never to an upstream: what belongs to one connection (RFC 9110, 7.6.1), the caller's key for this registry, cookies.
Never to a caller: what would change what a browser thinks of the registry's own origin.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

from model_registry.services.dispatch.plan import Headers

Header = tuple[bytes, bytes]

HOPS = b"x-registry-hops"
"""The ids of the replicas that a request has passed."""
MOST_HOPS = 8

_OF_CONNECTION = frozenset({
    *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    *(b"proxy-authenticate", b"proxy-authorization", b"http2-settings"),
})  # fmt: skip
_NOT_SENT = _OF_CONNECTION | {b"host", b"content-length", b"expect", b"cookie", b"cookie2", b"x-api-key", HOPS}
"""Of a request. The length is set anew. Every `Authorization: Bearer` is a key of this registry."""
_TRACE = frozenset({b"traceparent", b"tracestate"})
_NOT_SHOWN = _OF_CONNECTION | {
    *(b"set-cookie", b"set-cookie2", b"date", b"server", b"www-authenticate", b"clear-site-data", b"refresh"),
    *(b"content-security-policy", b"content-security-policy-report-only", b"x-content-type-options"),
    *(b"x-frame-options", b"referrer-policy", b"strict-transport-security", b"public-key-pins", b"expect-ct"),
    *(b"permissions-policy", b"feature-policy", b"service-worker-allowed", b"alt-svc", b"origin-agent-cluster"),
    *(b"nel", b"report-to", b"reporting-endpoints", b"timing-allow-origin", b"x-permitted-cross-domain-policies"),
    *(b"sourcemap", b"x-xss-protection", b"x-sendfile", b"x-lighttpd-send-file"),
    *(b"x-accel-redirect", b"x-accel-limit-rate", b"x-accel-expires", b"x-accel-charset"),
}
"""Of a response. `Date` is the registry's own; 401 of an upstream must not make a browser ask for a password, and no
upstream tells a proxy in front of the registry which of its files to serve."""
_NOT_SHOWN_BEGINNINGS = (b"access-control-", b"cross-origin-", b"x-registry-")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_WITHOUT_LENGTH = frozenset({204, 304})
_AUTHORISATION = b"authorization"
_BEARER = re.compile(rb"\s*bearer(?:\s|$)", re.IGNORECASE)


def request_headers(given: Iterable[Header], replica: bytes) -> list[Header]:
    """The headers of a caller for an upstream, without its length.

    Args:
        given: The caller's; names in lower case.
        replica: This replica's id, for the upstream to send back if it is a registry.
    """
    passed, hops, parent, state = [], replica, None, []
    named: set[bytes] = set()
    for header in given:
        name = header[0]
        if name in _TRACE:
            if name == b"tracestate":
                state.append(header)
            else:
                parent = header if parent is None else (name, b"")  # several are none
        elif name not in _NOT_SENT:
            if name != _AUTHORISATION or not _BEARER.match(header[1]):
                passed.append(header)
        elif name == b"connection":
            named |= _tokens(header[1])
        elif name == HOPS:
            hops = header[1] + b", " + hops
    if named:
        passed = [header for header in passed if header[0] not in named]
    if parent is not None and _TRACEPARENT.fullmatch(parent[1]):
        passed.append(parent)
        passed += state
    else:
        passed.append((b"traceparent", new_traceparent()))
    passed.append((HOPS, hops))
    return passed


def new_traceparent() -> bytes:
    """Begin a trace (W3C Trace Context): not sampled, so that those who trace decide."""
    drawn = random.randbytes(24).hex()  # noqa: S311 (to be different, not to be a secret)
    return f"00-{drawn[:32]}-{drawn[32:]}-00".encode()


def response_headers(status: int, given: Headers) -> list[Header]:
    """The headers of an upstream for a caller."""
    passed, named = [], frozenset[bytes]()
    for header in given:
        name = header[0]
        if name == b"connection":
            named |= _tokens(header[1])
        elif name not in _NOT_SHOWN and not name.startswith(_NOT_SHOWN_BEGINNINGS):
            passed.append(header)
    if status in _WITHOUT_LENGTH:
        named |= {b"content-length"}
    named -= {b"keep-alive", b"close"}
    return [header for header in passed if header[0] not in named] if named else passed


def retry_after(headers: Headers) -> float | None:
    """Seconds of a response's Retry-After; None when it says none, or a date."""
    value = next((value for name, value in headers if name == b"retry-after"), b"")
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def is_looping(hops: bytes, replica: bytes) -> bool:
    """Whether a request has been at this replica before, or at too many."""
    passed = _tokens(hops)
    return replica.lower() in passed or len(passed) >= MOST_HOPS


def _tokens(value: bytes) -> frozenset[bytes]:
    return frozenset(token.strip().lower() for token in value.split(b","))
