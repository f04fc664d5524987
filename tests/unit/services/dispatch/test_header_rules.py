"""Which headers pass between callers and upstreams."""

from __future__ import annotations

import re

import pytest

from model_registry.services.dispatch.header_rules import (
    MOST_HOPS,
    is_looping,
    request_headers,
    response_headers,
    retry_after,
)

_TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def _sent(*given: tuple[bytes, bytes]) -> dict[bytes, bytes]:
    return dict(request_headers(given, b"replica-1"))


def test_what_belongs_to_the_connection_the_key_and_cookies_stay_here() -> None:
    sent = _sent(
        (b"host", b"registry"),
        (b"connection", b"keep-alive, X-Private"),
        (b"keep-alive", b"timeout=5"),
        (b"te", b"trailers"),
        (b"upgrade", b"websocket"),
        (b"transfer-encoding", b"chunked"),
        (b"expect", b"100-continue"),
        (b"content-length", b"3"),
        (b"cookie", b"session=1"),
        (b"authorization", b"Bearer ours"),
        (b"x-api-key", b"ours"),
        (b"x-private", b"1"),
        (b"accept", b"*/*"),
        (b"idempotency-key", b"k"),
    )

    assert sent.keys() == {b"accept", b"idempotency-key", b"traceparent", b"x-registry-hops"}


def test_what_is_no_key_of_ours_passes() -> None:
    assert _sent((b"authorization", b"Basic theirs"))[b"authorization"] == b"Basic theirs"


@pytest.mark.parametrize("key", [b"Bearer ours", b"bearer\tours", b" BEARER  ours", b"Bearer"])
def test_a_key_passes_in_no_spelling_and_beside_no_other(key: bytes) -> None:
    sent = _sent((b"authorization", b"Basic theirs"), (b"authorization", key))

    assert sent[b"authorization"] == b"Basic theirs"


def test_a_trace_goes_on_and_one_is_begun_where_there_is_none() -> None:
    assert _sent((b"traceparent", _TRACE), (b"tracestate", b"a=1"))[b"traceparent"] == _TRACE
    assert _sent((b"traceparent", _TRACE), (b"tracestate", b"a=1"))[b"tracestate"] == b"a=1"
    begun = _sent()[b"traceparent"]
    assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-00", begun)


@pytest.mark.parametrize(
    "given", [b"", b"00-0-0-0", b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01", _TRACE.upper(), b"x" * 200]
)
def test_a_trace_that_is_none_is_replaced_with_its_state(given: bytes) -> None:
    sent = _sent((b"traceparent", given), (b"tracestate", b"a=1"))

    assert sent[b"traceparent"] != given
    assert b"tracestate" not in sent


def test_two_traces_are_none() -> None:
    assert _sent((b"traceparent", _TRACE), (b"traceparent", _TRACE))[b"traceparent"] != _TRACE


def test_every_replica_leaves_its_id_and_knows_it_again() -> None:
    assert _sent((b"x-registry-hops", b"other"))[b"x-registry-hops"] == b"other, replica-1"
    assert is_looping(b"other, Replica-1", b"replica-1")
    assert not is_looping(b"other", b"replica-1")
    assert is_looping(b", ".join(b"%d" % n for n in range(MOST_HOPS)), b"replica-1")


def test_no_service_changes_what_a_browser_thinks_of_the_registry() -> None:
    shown = response_headers(
        200,
        [
            (b"set-cookie", b"a=1"),
            (b"content-security-policy", b"default-src *"),
            (b"access-control-allow-origin", b"*"),
            (b"strict-transport-security", b"max-age=1"),
            (b"clear-site-data", b'"*"'),
            (b"www-authenticate", b"Basic"),
            (b"service-worker-allowed", b"/"),
            (b"x-registry-service", b"forged"),
            (b"x-frame-options", b"ALLOWALL"),
            (b"x-accel-redirect", b"/secret"),
            (b"x-sendfile", b"/etc/passwd"),
            (b"connection", b"keep-alive, x-private"),
            (b"x-private", b"1"),
            (b"date", b"then"),
            (b"content-type", b"text/html"),
            (b"content-length", b"3"),
            (b"x-model", b"a"),
        ],
    )

    assert shown == [(b"content-type", b"text/html"), (b"content-length", b"3"), (b"x-model", b"a")]


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_has_no_length(status: int) -> None:
    assert response_headers(status, [(b"content-length", b"3"), (b"etag", b"a")]) == [(b"etag", b"a")]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"3", 3.0), (b"0.5", 0.5), (b"-1", None), (b"inf", None), (b"nan", None), (b"Wed, 21 Oct 2015", None)],
)
def test_retry_after_is_a_number_of_seconds(value: bytes, seconds: float | None) -> None:
    assert retry_after([(b"retry-after", value)]) == seconds
    assert retry_after([]) is None
