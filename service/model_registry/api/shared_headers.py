"""Headers of every answer: for browsers, and for caches that several callers share."""

from __future__ import annotations

from collections.abc import Iterable

_CONTENT_SECURITY_POLICY = b"content-security-policy"
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (_CONTENT_SECURITY_POLICY, b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
"""Of every answer; one that is a page says a policy of its own. `Strict-Transport-Security` is for who ends TLS."""

_VARY = (b"vary", b"Authorization, X-API-Key")


def missing_headers(given: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    """What is still missing of these headers."""
    if any(name == _CONTENT_SECURITY_POLICY for name, _ in given):
        return tuple(header for header in SECURITY_HEADERS if header[0] != _CONTENT_SECURITY_POLICY)
    return SECURITY_HEADERS


def private(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer that others may not have: no cache that several callers share may keep it.

    What could be kept and asked about again, the caller may keep; the rest nobody.
    """
    given = list(headers)
    kept = next((value for name, value in given if name == b"cache-control"), b"no-store")
    control = kept if kept == b"no-store" or kept.startswith(b"private") else b"private, " + kept
    return [*((name, value) for name, value in given if name != b"cache-control"), (b"cache-control", control), _VARY]
