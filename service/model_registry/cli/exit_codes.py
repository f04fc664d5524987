"""With which exit code a command ends that fails: one table from the error tree to codes.

0 done; 1 what was asked for was refused; 2 the command was called wrongly (Typer's own); 3 the registry, a part of
it, or what was to be read or written cannot be reached or does not let us in.
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
"""Exit code of an error; one that is not here has that of its nearest base class."""


def exit_code(error: errors.RegistryError) -> int:
    """The exit code for an error."""
    return next(EXIT_CODES[base] for base in type(error).__mro__ if base in EXIT_CODES)
