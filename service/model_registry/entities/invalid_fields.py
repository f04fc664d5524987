"""The one translation of what pydantic refuses into reasons: which field, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from model_registry.errors import Reason

Location = tuple[int | str, ...]
"""Where a value stands, as pydantic has it: field names, and positions in lists."""


def dotted(location: Location) -> str:
    """A location as reasons show it: `models.0.name`."""
    return ".".join(map(str, location))


def reasons_of(error: ValidationError, where: Callable[[Location], str] = dotted) -> list[Reason]:
    """One reason per field that pydantic refused."""
    return reasons_from(error.errors(include_url=False, include_context=False, include_input=False), where)


def reasons_from(details: Iterable[Mapping[str, Any]], where: Callable[[Location], str] = dotted) -> list[Reason]:
    """The same of errors that FastAPI or pydantic has listed. pydantic's own prefix says nothing to callers."""
    return [Reason(where(detail["loc"]), str(detail["msg"]).removeprefix("Value error, ")) for detail in details]
