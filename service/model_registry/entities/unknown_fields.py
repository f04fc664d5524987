"""Which fields of a JSON value its shape does not have, at every level. What to do about them is decided elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from model_registry.entities.field_errors import Location, dotted
from model_registry.entities.spelling import suggestion
from model_registry.errors import Reason

_MOST_NAMED = 100
"""Fields of one object. More are one fault: naming each takes time, and helps nobody."""


@dataclass(frozen=True, slots=True)
class UnknownField:
    """A field that its object's shape does not have."""

    location: Location
    known: Collection[str]
    """The fields that the object may have."""
    fields: int
    """How many fields the object has."""


def unknown_fields(value: Any, shape: Any, *, also: Collection[str] = (), at: Location = ()) -> Iterator[UnknownField]:  # noqa: ANN401 (any JSON, any type)
    """Yield the fields of a JSON value that its shape has no place for.

    Args:
        value: the JSON, parsed.
        shape: a pydantic model, or a type that fields of models have.
        also: fields of the outermost object that are no fields of its shape, and may be there.
        at: where the value stands.
    """
    origin, parts = get_origin(shape), get_args(shape)
    if origin is Annotated:
        yield from unknown_fields(value, parts[0], also=also, at=at)
    elif isinstance(value, list):
        for position, item in enumerate(value) if origin is list else ():
            yield from unknown_fields(item, parts[0], at=(*at, position))
    elif not isinstance(value, dict):
        return
    elif isinstance(shape, type) and issubclass(shape, BaseModel):
        yield from _of_model(value, shape, also, at)
    elif origin is dict:
        for key, item in value.items() if parts[1] is not Any else ():
            yield from unknown_fields(item, parts[1], at=(*at, key))
    else:  # the part of a union that knows most of it
        found = [list(unknown_fields(value, part, also=also, at=at)) for part in parts if part is not type(None)]
        yield from min(found, key=len, default=())


def _of_model(
    value: dict[str, Any], shape: type[BaseModel], also: Collection[str], at: Location
) -> Iterator[UnknownField]:
    if shape.model_config.get("extra") == "allow":
        return
    names = field_names(shape)
    for key, item in value.items():
        if key in names:
            yield from unknown_fields(item, shape.model_fields[names[key]].annotation, at=(*at, key))
        elif key not in also:
            yield UnknownField((*at, key), names, len(value))


@cache
def field_names(shape: type[BaseModel]) -> dict[str, str]:
    """Return the names of a model's fields as callers write them -> as the model has them."""
    return {field.alias or name: name for name, field in shape.model_fields.items()}


def unknown_field_reasons(unknown: Iterator[UnknownField]) -> list[Reason]:
    """Say of each unknown field which known one it is nearest to; at most a hundred, the rest is counted."""
    reasons: dict[str, Reason] = {}
    for field in islice(unknown, _MOST_NAMED + 1):
        *outer, name = field.location
        if field.fields > _MOST_NAMED:
            message = f"has {field.fields:,} fields; the known ones are: {', '.join(sorted(field.known))}"
            reasons.setdefault(dotted(tuple(outer)), Reason(dotted(tuple(outer)), message))
        else:
            message = f"is not a known field; {suggestion(str(name), field.known)}"
            reasons[dotted(field.location)] = Reason(dotted(field.location), message)
    return list(reasons.values())
