"""The one translation of pydantic's errors into reasons: the field and its fault. Raising them is elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from model_registry.errors import Reason

Location = tuple[int | str, ...]
"""A value's location in pydantic's form: field names, and positions in lists."""


def dotted(location: Location) -> str:
    """Write a location for a reason: `models.0.name`."""
    return ".".join(map(str, location))


def reasons_of(error: ValidationError, where: Callable[[Location], str] = dotted) -> list[Reason]:
    """Return one reason per field that pydantic refused."""
    return reasons_from(error.errors(include_url=False, include_context=False, include_input=False), where)


def reasons_from(details: Iterable[Mapping[str, Any]], where: Callable[[Location], str] = dotted) -> list[Reason]:
    """Do the same for a list of errors from FastAPI or pydantic, without pydantic's own prefix."""
    return [Reason(where(detail["loc"]), str(detail["msg"]).removeprefix("Value error, ")) for detail in details]
