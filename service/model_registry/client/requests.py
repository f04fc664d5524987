"""What can be asked of a registry: one value a question, with how to read the answer. Pure; nothing is sent here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from model_registry.client.rows import read_row
from model_registry.errors import RegistryUnreachable

T = TypeVar("T")
R = TypeVar("R", bound=BaseModel)

Json = dict[str, Any]
Reading = Callable[[bytes], T]

_SAFE_TO_REPEAT = frozenset({"GET", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One question, or one thing to do."""

    method: str
    path: str
    read: Reading[T]
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    etag: str | None = None
    """Only if the row is still this one."""
    repeatable: bool | None = None
    """Whether doing it twice is the same as once; by default what its method says."""

    @property
    def may_repeat(self) -> bool:
        """Whether it may be sent again when its answer was lost."""
        return self.method in _SAFE_TO_REPEAT if self.repeatable is None else self.repeatable


@dataclass(frozen=True, slots=True)
class Rows(Generic[R]):
    """The calls of one noun. A reference is an id or a name, and may hold slashes.

    Writing takes an `etag` where it must not undo what somebody else did: PreconditionFailed when the row has changed.
    """

    plural: str
    kind: type[R]

    def list(self, **filters: Any) -> Call[list[R]]:  # noqa: ANN401 (the registry judges filters)
        """All rows that pass the filters: those of the registry's own list."""
        return Call("GET", f"/api/{self.plural}", items_of(self.kind), filters)

    def get(self, reference: str) -> Call[R]:
        """One row. Errors: NotFound (ModelNotFound), AmbiguousName."""
        return Call("GET", self._path(reference), row_of(self.kind))

    def create(self, fields: Mapping[str, Any] | None = None, **more: Any) -> Call[R]:  # noqa: ANN401
        """Add a row. Errors: Invalid (InvalidModel) with every bad field, AlreadyExists."""
        return Call("POST", f"/api/{self.plural}", row_of(self.kind), body={**(fields or {}), **more})

    def replace(self, reference: str, fields: Mapping[str, Any], *, etag: str | None = None) -> Call[R]:
        """The whole row anew. Errors: as `create`, NotFound, PreconditionFailed."""
        return Call("PUT", self._path(reference), row_of(self.kind), body=dict(fields), etag=etag)

    def change(self, reference: str, *, etag: str | None = None, **fields: Any) -> Call[R]:  # noqa: ANN401
        """Some fields of a row. Errors: as `replace`."""
        return Call("PATCH", self._path(reference), row_of(self.kind), body=fields, etag=etag)

    def delete(self, reference: str, *, etag: str | None = None) -> Call[None]:
        """No such row any more. Errors: NotFound, InUse, PreconditionFailed."""
        return Call("DELETE", self._path(reference), lambda _content: None, etag=etag)

    def _path(self, reference: str) -> str:
        return f"/api/{self.plural}/{quoted(reference)}"


def quoted(reference: str) -> str:
    """A reference as one part of a path."""
    return quote(reference, safe="")


def items_of(kind: type[R]) -> Reading[list[R]]:
    """How a list is read."""
    return lambda content: [read_row(kind, item) for item in _member(content, "items")]


def row_of(kind: type[R]) -> Reading[R]:
    """How one row is read."""
    return lambda content: read_row(kind, json_object(content))


def json_object(content: bytes) -> Json:
    """An object. Errors: RegistryUnreachable."""
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RegistryUnreachable("What answered is no registry: it says something else than JSON objects")
    return found


def enveloped(content: bytes) -> Json:
    """What stands in an envelope of `/api/v1/registry`."""
    data = _member(content, "data")
    return data if isinstance(data, dict) else {"items": data}


def _member(content: bytes, name: str) -> Any:  # noqa: ANN401 (any JSON value)
    found = json_object(content)
    if name not in found:
        raise RegistryUnreachable(f"What answered is no registry: it says nothing of {name!r}")
    return found[name]
