"""What every error of the registry has: a message, a stable code, reasons and data. The tree is in `errors.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from model_registry.error_code import ErrorCode

SHOWN_DATA = ("matches", "referrers", "allowed", "oldest", "newest")
"""Keys of an error's data that callers see: the alternatives that they can choose from. The rest is only logged."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One fault, and where it is."""

    where: str
    """The field or key, dotted: `tensorzero.timeouts.non_streaming`."""
    message: str

    def __str__(self) -> str:
        """The reason as one line."""
        return f"{self.where}: {self.message}" if self.where else self.message


@dataclass(frozen=True, slots=True)
class ConflictReason(Reason):
    """One value that two say differently."""

    registry: str
    """What the registry has there, as JSON."""
    project: str
    """What the imported project has there."""


class RegistryError(Exception):
    """The registry could not complete the request"""

    code: ClassVar[str] = "E4000"
    retryable: ClassVar[bool] = False
    """Whether the same request may succeed later, without a change by the caller."""

    def __init__(self, message: str, *, reasons: Sequence[Reason] = (), **data: Any) -> None:  # noqa: ANN401 (copied into the problem document)
        super().__init__(message)
        self.message = message
        self.reasons = tuple(reasons)
        self.data = data

    def __init_subclass__(cls, *, code: str) -> None:
        """Give a class its own code: none is inherited."""
        super().__init_subclass__()
        cls.code = code

    @classmethod
    def title(cls) -> str:
        """The class's docstring, the same for every instance."""
        return (cls.__doc__ or "").strip()

    @property
    def error_code(self) -> ErrorCode:
        """The code, under the old registry's name."""
        return ErrorCode(self.code)

    @property
    def details(self) -> dict[str, Any]:
        """The data and the reasons, under the old registry's name."""
        return self.data | ({"reasons": [str(reason) for reason in self.reasons]} if self.reasons else {})

    def to_dict(self) -> dict[str, Any]:
        """Return what the old registry's errors had, for logs and responses."""
        facts = {"error_code": self.code, "message": self.message, "retryable": self.retryable}
        return facts | {"details": self.details}
