"""How an error's code compares: for programs that have an enumeration of codes of their own."""

from __future__ import annotations


class ErrorCode(str):
    """An error's code, as programs of the old in-memory registry read it: `error.error_code`.

    Equal to its text, and to anything with the same `code`, such as a member of another program's enumeration.
    """

    __slots__ = ()

    @property
    def code(self) -> str:
        """The code as text."""
        return str.__str__(self)

    code_value = value = code

    def __eq__(self, other: object) -> bool:
        """Compare by code."""
        return str.__eq__(self, other if isinstance(other, str) else getattr(other, "code", other)) is True

    def __ne__(self, other: object) -> bool:
        """Compare by code."""
        return not self == other

    __hash__ = str.__hash__
