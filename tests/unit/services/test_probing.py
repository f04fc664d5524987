"""What an answer to a health check means."""

from __future__ import annotations

import pytest

from model_registry.http11.response_parser import ResponseHead
from model_registry.services.probing import MOST_BYTES, result_of
from model_registry.services.registration import HEALTHY_WORDS


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \n",
        b"OK",
        b'"running"',
        b'{"status": "Healthy", "service": "x"}',
        b'{"state": "ready"}',
        b'{"ok": true}',
    ],
)
def test_what_says_that_it_is_well(body: bytes) -> None:
    assert result_of(ResponseHead(200, b"OK", []), body, HEALTHY_WORDS).kind == "ok"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"status": "loading"}', "it says 'loading'"),
        (b'{"status": {"db": "ok"}}', "it does not say how it is"),
        (b'{"ok": false}', "it does not say how it is"),
        (b"[]", "it does not say how it is"),
        (b"<html>It works!</html>", "it says '<html>It works!</html>'"),
        (b"\xff\xfe", "it says"),
    ],
)
def test_what_says_otherwise(body: bytes, says: str) -> None:
    result = result_of(ResponseHead(200, b"OK", []), body, HEALTHY_WORDS)

    assert (result.kind, says in result.detail) == ("unexpected_body", True), result.detail


def test_the_words_are_the_instances_own() -> None:
    head = ResponseHead(200, b"OK", [])

    assert result_of(head, b'{"status": "UP"}', ["up"]).kind == "ok"
    assert result_of(head, b'{"status": "ok"}', ["up"]).kind == "unexpected_body"
    assert result_of(head, b"anything", []).kind == "ok"


@pytest.mark.parametrize("status", [201, 302, 401, 403, 404, 429, 500, 503])
def test_any_other_status_is_what_it_is(status: int) -> None:
    result = result_of(ResponseHead(status, b"", []), b'{"status": "ok"}', HEALTHY_WORDS)

    assert (result.kind, result.status) == ("status", status)


def test_redirects_are_not_followed_and_it_is_said() -> None:
    assert "not followed" in result_of(ResponseHead(301, b"", []), b"", HEALTHY_WORDS).detail


def test_too_long_an_answer_is_none() -> None:
    assert f"{MOST_BYTES // 1024} KiB" in result_of(ResponseHead(200, b"", []), None, HEALTHY_WORDS).detail


def test_a_registry_that_answers_is_no_model_service() -> None:
    head = ResponseHead(200, b"", [(b"x-registry-revision", b"3")])

    result = result_of(head, b'{"status": "running"}', HEALTHY_WORDS)

    assert (result.kind, "come back" in result.detail) == ("unexpected_body", True)
