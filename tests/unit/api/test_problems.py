"""Errors as callers see them: complete problem documents (RFC 9457), without internal details."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.responses import Response

from model_registry.api.problems import MEDIA_TYPE, Problem, http_problem, problem_response
from model_registry.errors import (
    AmbiguousName,
    Invalid,
    ModelNotFound,
    NotAuthenticated,
    Reason,
    RegistryError,
    StorageMisconfigured,
    StorageUnavailable,
)


def shown(response: Response) -> dict[str, Any]:
    """The document, which must have the documented shape."""
    assert response.media_type == MEDIA_TYPE
    document: dict[str, Any] = json.loads(bytes(response.body))
    Problem.model_validate(document, strict=True)
    assert document.keys() <= Problem.model_fields.keys()
    assert document["status"] == response.status_code
    return document


def test_an_error_is_a_problem_document() -> None:
    assert shown(problem_response(ModelNotFound("There is no model 'm'."))) == {
        "type": "urn:model-registry:E4001",
        "title": "Model not found",
        "status": 404,
        "code": "E4001",
        "detail": "There is no model 'm'.",
        "reasons": [],
    }


def test_reasons_and_choices_are_shown() -> None:
    invalid = Invalid("a: b", reasons=[Reason("a", "b")], allowed=["x", "y"])
    ambiguous = AmbiguousName("two", matches=[{"id": "1", "label": "one"}])

    assert shown(problem_response(invalid))["reasons"] == [{"where": "a", "message": "b"}]
    assert shown(problem_response(invalid))["allowed"] == ["x", "y"]
    assert shown(problem_response(ambiguous))["matches"] == [{"id": "1", "label": "one"}]


def test_what_the_storage_said_is_not_shown() -> None:
    told = {"code": "42501", "message": "permission denied for table models", "details": "secret"}

    response = problem_response(StorageMisconfigured("The role lacks a right.", storage=told, operation=3))

    assert shown(response).keys() == {"type", "title", "status", "code", "detail", "reasons"}
    assert b"permission" not in response.body


def test_a_database_that_is_away_says_when_to_try_again() -> None:
    response = problem_response(StorageUnavailable("away"))

    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert "retry-after" not in problem_response(StorageMisconfigured("not set up")).headers


def test_a_missing_key_says_which_kind_is_wanted() -> None:
    assert problem_response(NotAuthenticated("no key")).headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("status", "code"), [(404, "E4004"), (405, "E4050"), (413, "E4130"), (418, "E4180")])
def test_what_http_itself_refuses_is_a_problem_too(status: int, code: str) -> None:
    response = http_problem(HTTPException(status, "because", {"Allow": "GET"}))

    document = shown(response)

    assert (document["code"], document["detail"], response.headers["allow"]) == (code, "because", "GET")
    assert document["title"]


def test_half_a_surrogate_in_a_message_does_not_break_the_answer() -> None:
    error = RegistryError("\ud800", reasons=[Reason("a\udfff", "b")], allowed=["\ud800"], matches=[{"id": "\ud800"}])

    document = shown(problem_response(error))

    assert document["detail"] == "?"
    assert document["reasons"] == [{"where": "a?", "message": "b"}]
