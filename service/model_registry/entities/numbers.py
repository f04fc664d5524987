"""What callers send as numbers: `true` is none."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationInfo, field_validator

from model_registry.entities.json_types import Json


@cache
def _numbers(shape: type[BaseModel]) -> frozenset[str]:
    """Return the fields of a shape that are numbers."""
    return frozenset(name for name, field in shape.model_fields.items() if _is_number(field.annotation))


def _is_number(annotation: Any) -> bool:  # noqa: ANN401 (any type)
    if get_origin(annotation) is Annotated:
        return _is_number(get_args(annotation)[0])
    return annotation in {int, float, Decimal} or any(
        map(_is_number, get_args(annotation) if _is_union(annotation) else ())
    )


def _is_union(annotation: Any) -> bool:  # noqa: ANN401 (any type)
    return get_origin(annotation) in (Union, UnionType)


class StrictNumbers(BaseModel):
    """Base of what callers send."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_number(cls, given: Json, info: ValidationInfo) -> Json:
        """Refuse true where a number goes: pydantic takes it for 1."""
        if isinstance(given, bool) and info.field_name in _numbers(cls):
            message = f"must be a number, not {str(given).lower()}"
            raise ValueError(message)
        return given
