"""Exit codes of commands: one table from the error tree to codes.

0 success; 1 refused; 2 wrong usage (by Typer); 3 the registry, one of its components, a source or a target cannot be
reached, or denies access.
"""

from __future__ import annotations

from model_registry import errors

REFUSED = 1
OUT_OF_REACH = 3

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
}
"""A class missing here has the exit code of its nearest base class."""


def exit_code(error: errors.RegistryError) -> int:
    """The exit code for an error."""
    return next(EXIT_CODES[base] for base in type(error).__mro__ if base in EXIT_CODES)
