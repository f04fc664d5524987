"""Fields that a shape does not have are found at every level, and named so that an answer stays small."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from model_registry.entities.unknown_fields import unknown_field_reasons, unknown_fields


class Inner(BaseModel):
    size: int = 0


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Shape(BaseModel):
    name: str = ""
    from_: int = Field(0, alias="from")
    inner: Inner | None = None
    many: Annotated[list[Annotated[Inner, "checked elsewhere"]], Field(max_length=9)] = []
    named: dict[str, Inner] | None = None
    free: dict[str, Any] = {}
    either: list[str] | dict[str, bool] | Inner | None = None
    kind: Literal["a", "b"] = "a"
    open: Open | None = None


@pytest.mark.parametrize(
    ("value", "unknown"),
    [
        ({"name": "x", "from": 1, "inner": None, "many": [], "kind": "c"}, []),
        ({"colour": 1, "from_": 1}, ["colour", "from_"]),
        ({"inner": {"size": 1, "sise": 1}}, ["inner.sise"]),
        ({"many": [{}, {"sise": 1}, "no object"]}, ["many.1.sise"]),
        ({"named": {"a": {"sise": 1}, "b": 1}}, ["named.a.sise"]),
        ({"free": {"a": {"b": [{"c": 1}]}}, "open": {"a": {"b": 1}}}, []),
        ({"either": {"vision": True}}, []),
        ({"name": {"not": "text"}, "inner": [], "kind": {"a": 1}}, []),
        ([], []),
        (None, []),
        ("text", []),
    ],
)
def test_unknown_fields_are_found_where_they_stand(value: Any, unknown: list[str]) -> None:
    assert [reason.where for reason in unknown_field_reasons(unknown_fields(value, Shape))] == unknown


def test_fields_that_may_be_there_may_only_be_outside() -> None:
    found = unknown_fields({"id": 1, "inner": {"id": 1}}, Shape, also={"id"})
    assert [field.location for field in found] == [("inner", "id")]


def test_very_many_are_named_a_hundred_at_most() -> None:
    many = {str(number): 1 for number in range(5000)}
    (reason,) = unknown_field_reasons(unknown_fields({"inner": many}, Shape))
    assert (reason.where, reason.message) == ("inner", "has 5,000 fields; the known ones are: size")
    assert len(unknown_field_reasons(unknown_fields({"many": [{"sise": 1}] * 5000}, Shape))) == 101
