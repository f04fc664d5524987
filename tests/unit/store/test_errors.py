"""Which error an answer becomes that the database, PostgREST, or a gateway in front of them gives."""

from __future__ import annotations

import httpx2
import pytest

from model_registry.api.problems import problem_response
from model_registry.errors import (
    RegistryError,
    StatementTimeout,
    StorageError,
    StorageMisconfigured,
    StorageUnavailable,
)
from model_registry.store.errors import AWAY, TROUBLE, DatabaseError, translated

BODIES = {
    "of Kong": b'{"message":"An invalid response was received from the upstream server","request_id":"1f"}',
    "with a number for a code": b'{"code":502,"message":"x"}',
    "with a word for a code": b'{"code":"error","message":"x"}',
    "with a word of five letters": b'{"code":"ERROR","message":"x"}',
    "of another shape": b'{"error":{"code":"boot_error"},"statusCode":"500"}',
    "of Cloudflare": b"<!DOCTYPE html><title>example.supabase.co | 522: Connection timed out</title>",
    "a list": b"[1]",
    "nothing": b"",
}
# https://supabase.com/docs/guides/platform/http-status-codes, Kong's own, and Cloudflare's.
OUTAGES = {
    **dict.fromkeys((408, 425, 500, 502, 503, 504, *range(520, 531), 598), AWAY),
    **{status: TROUBLE[str(status)] for status in (401, 402, 403, 404, 429, 540, 544)},
}
NOT_POSTGREST = (301, 302, 307, 308, 400, 405, 406, 411, 414, 415, 417, 421, 426, 431, 494)


def answered(status: int, body: bytes, **headers: str) -> RegistryError:
    return translated(DatabaseError.of(httpx2.Response(status, content=body, headers=headers)))


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_an_answer_that_is_not_the_databases_is_read_by_its_status_whatever_its_body(body: bytes) -> None:
    for status, message in OUTAGES.items():
        error = answered(status, body)
        response = problem_response(error)
        assert (type(error), error.message) == (StorageUnavailable, message), status
        assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    for status in NOT_POSTGREST:
        error = answered(status, body)
        assert type(error) is StorageMisconfigured, status
        assert "SUPABASE_URL" in error.message
    assert type(answered(413, body)) is StorageError  # a smaller part of it may fit


def test_the_databases_own_code_counts_more_than_the_status() -> None:
    assert type(answered(404, b'{"code":"PGRST202","message":"no function"}')) is StorageMisconfigured
    assert type(answered(500, b'{"code":"42703","message":"no column"}')) is StorageError
    assert type(answered(502, b"<html>", **{"Proxy-Status": "PostgREST; error=42703"})) is StorageError
    assert type(answered(500, b'{"code":"PGRSTX00","message":"a bug"}')) is StorageError


def test_a_code_of_the_database_is_not_taken_for_a_status_and_the_other_way_round() -> None:
    """'40' begins serialization failures, and '53' exhausted resources: 400 and 530 are neither."""
    assert "limit" in answered(500, b'{"code":"53400","message":"x"}').message
    assert answered(530, b"").message == AWAY
    assert answered(500, b'{"code":"40001","message":"x"}').message == AWAY
    assert type(answered(400, b"")) is StorageMisconfigured


def test_a_statement_timeout_is_not_an_outage_and_nobody_is_told_to_retry() -> None:
    error = answered(500, b'{"code":"57014","message":"canceling statement due to statement timeout"}')
    response = problem_response(error)

    assert type(error) is StatementTimeout
    assert "statement_timeout" in error.message
    assert (response.status_code, "retry-after" in response.headers) == (500, False)


def test_a_statement_that_an_administrator_cancelled_can_be_sent_again() -> None:
    error = answered(500, b'{"code":"57014","message":"canceling statement due to user request"}')

    assert (type(error), error.message) == (StorageUnavailable, AWAY)
