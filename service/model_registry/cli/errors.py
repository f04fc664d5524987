"""How an error ends a command: the table from the error tree to exit codes, and the choices that an error leaves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from model_registry import errors

REFUSED = 1
OUT_OF_REACH = 3
IN_PART = 4
NOT_SERVED = 5

EXIT_CODE_MEANINGS = {
    0: "success",
    REFUSED: "refused",
    2: "wrong usage",
    OUT_OF_REACH: "the registry, one of its components, a source or a target cannot be reached, or denies access",
    IN_PART: "done in part: what is missing was named",
    NOT_SERVED: "gateways do not get it: validation refuses it, or has no result yet",
}
"""For the reference; Typer itself ends with 2."""

EXIT_CODES: dict[type[errors.RegistryError], int] = {
    errors.RegistryError: REFUSED,
    errors.NotAuthenticated: OUT_OF_REACH,
    errors.NotAllowed: OUT_OF_REACH,
    errors.StorageError: OUT_OF_REACH,
    errors.GatewayUnavailable: OUT_OF_REACH,
    errors.NotConfined: OUT_OF_REACH,
    errors.TooManyRequests: OUT_OF_REACH,
    errors.RegistryUnreachable: OUT_OF_REACH,
    errors.ModelServerUnreachable: OUT_OF_REACH,
    errors.SourceUnreadable: OUT_OF_REACH,
    errors.StackError: OUT_OF_REACH,
    errors.DispatchError: OUT_OF_REACH,
    errors.NotServed: NOT_SERVED,
    errors.NothingAccepted: NOT_SERVED,
}
"""A class missing here has the exit code of its nearest base class."""


def exit_code(error: errors.RegistryError) -> int:
    """The exit code for an error."""
    return next(EXIT_CODES[base] for base in type(error).__mro__ if base in EXIT_CODES)


def choices(error: errors.RegistryError) -> Iterator[str]:
    """The choices that an error leaves and its message does not name: rows that fit or refer to it, allowed values."""
    for key in errors.SHOWN_DATA:
        value = error.data.get(key)
        shown = [_label(item) for item in (value if isinstance(value, list | tuple) else [value]) if item is not None]
        if not all(item in error.message for item in shown):
            yield f"{key}: {', '.join(shown)}"


def _label(item: Any) -> str:  # noqa: ANN401 (any JSON value)
    """A row by its label and the id that names it alone."""
    if isinstance(item, dict) and {"id", "label"} <= item.keys():
        return f"{item['label']} ({item['id']})"
    return str(item)
