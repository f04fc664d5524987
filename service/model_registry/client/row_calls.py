"""Questions about rows, and how their answers become rows. Pure; nothing is sent here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from model_registry.client.requests import Call, Reading, json_object, member, quoted
from model_registry.errors import RegistryUnreachable

R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Rows(Generic[R]):
    """The calls of one resource; `row_operations.py` says what they do and raise."""

    plural: str
    kind: type[R]

    def list(self, **filters: object) -> Call[list[R]]:
        """Filters that are None do not count."""
        return Call("GET", f"/api/{self.plural}", items_of(self.kind), filters)

    def get(self, reference: str) -> Call[R]:
        """By id or name; references may hold slashes."""
        return Call("GET", self._path(reference), row_of(self.kind))

    def create(self, fields: Mapping[str, object] | None, more: Mapping[str, object]) -> Call[R]:
        """The second mapping counts more."""
        return Call("POST", f"/api/{self.plural}", row_of(self.kind), body={**(fields or {}), **more})

    def replace(self, reference: str, fields: Mapping[str, object], etag: str | None) -> Call[R]:
        """Set every field; what is not named has its default again."""
        return Call("PUT", self._path(reference), row_of(self.kind), body=dict(fields), etag=etag)

    def change(self, reference: str, fields: Mapping[str, object], etag: str | None) -> Call[R]:
        """Set some fields."""
        return Call("PATCH", self._path(reference), row_of(self.kind), body=dict(fields), etag=etag)

    def delete(self, reference: str, etag: str | None) -> Call[None]:
        """Answers nothing."""
        return Call("DELETE", self._path(reference), lambda _content: None, etag=etag)

    def _path(self, reference: str) -> str:
        return f"/api/{self.plural}/{quoted(reference)}"


def items_of(kind: type[R]) -> Reading[list[R]]:
    """Return the reader of a list."""
    return lambda content: [read_row(kind, item) for item in member(content, "items")]


def row_of(kind: type[R]) -> Reading[R]:
    """Return the reader of one row."""
    return lambda content: read_row(kind, json_object(content))


def read_row(kind: type[R], data: Any) -> R:  # noqa: ANN401 (any JSON value)
    """Read one row, without the fields that this version does not understand. Errors: RegistryUnreachable."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        strange = {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}
        first = error
    try:
        return kind.model_validate({name: value for name, value in dict(data).items() if name not in strange})
    except (ValidationError, TypeError, ValueError) as error:
        raise RegistryUnreachable(f"Unexpected response: not a valid {kind.__name__}: {first}") from error
