"""Questions to a registry: one value each, with how to read the answer. Pure; nothing is sent here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from model_registry.client.rows import read_row

T = TypeVar("T")
R = TypeVar("R", bound=BaseModel)

Json = dict[str, Any]
Reading = Callable[[bytes], T]

GARDEN = "/api/v1/registry"
"""Where Model Garden's interface is."""

_SAFE_TO_REPEAT = frozenset({"GET", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and how to read its answer."""

    method: str
    path: str
    read: Reading[T]
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    """Sent as JSON."""
    content: bytes | None = None
    """JSON that is written already; instead of `body`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = None
    """Only if the row still has this ETag."""
    repeatable: bool | None = None
    """Whether sending it twice has the same effect as once; by default decided by the method."""

    @property
    def may_repeat(self) -> bool:
        """Whether it may be sent again when its answer is lost."""
        return self.method in _SAFE_TO_REPEAT if self.repeatable is None else self.repeatable


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


def quoted(reference: str) -> str:
    """Quote a reference as one part of a path."""
    return quote(reference, safe="")


def items_of(kind: type[R]) -> Reading[list[R]]:
    """Return the reader of a list."""
    return lambda content: [read_row(kind, item) for item in _member(content, "items")]


def row_of(kind: type[R]) -> Reading[R]:
    """Return the reader of one row."""
    return lambda content: read_row(kind, json_object(content))


def json_object(content: bytes) -> Json:
    """Read an object. Errors: ValueError."""
    value = json.loads(content)
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 (as for what is no JSON at all)
    return value


def enveloped(content: bytes) -> Json:
    """Read the data of an answer of `/api/v1/registry`. Errors: ValueError."""
    data = _member(content, "data")
    return data if isinstance(data, dict) else {"items": data}


def _member(content: bytes, name: str) -> Any:  # noqa: ANN401 (any JSON value)
    value = json_object(content)
    if name not in value:
        raise ValueError(f"it has no {name!r}")
    return value[name]
