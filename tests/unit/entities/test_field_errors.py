"""Each typical mistake in a value has a message that says what to write; pydantic's phrases reach nobody."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from model_registry.entities.field_errors import reasons_of


class Shape(BaseModel):
    text: str = ""
    name: Annotated[str, Field(min_length=1, max_length=5)] = "n"
    count: Annotated[int, Field(ge=0, le=10)] = 0
    share: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.5
    flag: bool = False
    tags: Annotated[list[str], Field(max_length=2)] = []
    more: dict[str, Any] = {}
    part: Part | None = None
    kind: Literal["chat", "embedding", "image"] = "chat"
    at: datetime | None = None


class Part(BaseModel):
    need: int


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"text": 5}, "text: must be a string"),
        ({"text": None}, "text: must not be null"),
        ({"name": ""}, "name: must not be empty"),
        ({"name": "too long"}, "name: must have at most 5 characters"),
        ({"count": "many"}, "count: must be an integer, not 'many'"),
        ({"count": 1.5}, "count: must be an integer, without a fraction"),
        ({"count": -1}, "count: must be at least 0"),
        ({"count": 11}, "count: must be at most 10"),
        ({"count": "9" * 5000}, "count: must be an integer"),
        ({"share": 0}, "share: must be more than 0"),
        ({"share": float("nan")}, "share: must be a finite number"),
        ({"share": "half"}, "share: must be a number, not 'half'"),
        ({"flag": "perhaps"}, "flag: must be true or false, not 'perhaps'"),
        ({"tags": "vision"}, "tags: must be a list: [...]"),
        ({"tags": ["a", "b", "c"]}, "tags: must have at most 2 items"),
        ({"tags": ["a", 2]}, "tags.1: must be a string"),
        ({"more": []}, "more: must be a JSON object: {...}"),
        ({"part": {}}, "part.need: is required"),
        ({"part": 3}, "part: must be a JSON object: {...}"),
        ({"kind": "chatt"}, "kind: 'chatt' is not allowed; did you mean 'chat'? Allowed: chat, embedding, image"),
        ({"kind": 7}, "kind: 7 is not allowed; Allowed: chat, embedding, image"),
        ({"at": "soon"}, "at: must be a date and time in ISO 8601, such as 2026-11-30T12:00:00Z, not 'soon'"),
    ],
)
def test_a_mistake_says_what_to_write(value: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Shape.model_validate(value)
    shown = [str(each) for each in reasons_of(refused.value)]
    assert any(each.startswith(reason) for each in shown), shown
    assert all("Input should" not in each and len(each) < 200 for each in shown)
