"""Questions to a registry: one value each, with how to read the answer or the error. Pure; nothing is sent here."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload
from urllib.parse import quote

from model_registry.errors import SHOWN_DATA, NotAllowed, NotAuthenticated, Reason, RegistryError, RegistryUnreachable

if TYPE_CHECKING:
    import httpx

P = ParamSpec("P")
T = TypeVar("T")

Json = dict[str, Any]
Reading = Callable[[bytes], T]

DEFAULT_URL = "http://127.0.0.1:8110"
GARDEN = "/api/v1/registry"
"""Where Model Garden's interface is."""
DOCUMENT = f"{GARDEN}/document"

_SAFE_TO_REPEAT = frozenset({"GET", "PUT", "DELETE"})
_BY_STATUS: dict[int, type[RegistryError]] = {401: NotAuthenticated, 403: NotAllowed}
"""Errors of a proxy in front of the registry that requires a key of its own."""


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


def quoted(reference: str) -> str:
    """Quote a reference as one part of a path."""
    return quote(reference, safe="")


def json_object(content: bytes) -> Json:
    """Read an object. Errors: ValueError."""
    value = json.loads(content)
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 (as for what is no JSON at all)
    return value


def enveloped(content: bytes) -> Json:
    """Read the data of an answer of `/api/v1/registry`. Errors: ValueError."""
    data = member(content, "data")
    return data if isinstance(data, dict) else {"items": data}


def member(content: bytes, name: str) -> Any:  # noqa: ANN401 (any JSON value)
    """Read one member of an object. Errors: ValueError."""
    value = json_object(content)
    if name not in value:
        raise ValueError(f"it has no {name!r}")
    return value[name]


def error_of(response: httpx.Response) -> RegistryError:
    """Return the error of a problem document (RFC 9457) by its code; RegistryUnreachable for any other answer."""
    try:
        problem = response.json()
    except (ValueError, RecursionError):
        problem = None
    kinds = {kind.code: kind for kind in _kinds(RegistryError)}
    code = problem.get("code") if isinstance(problem, dict) else None
    if not isinstance(code, str) or code not in kinds:
        where = response.request.url.copy_with(raw_path=b"/")
        kind = _BY_STATUS.get(response.status_code, RegistryUnreachable)
        return kind(f"Unexpected response from {where}: status {response.status_code}, without a registry's error code")
    given = problem["reasons"] if isinstance(problem.get("reasons"), list) else ()
    reasons = [Reason(str(r.get("where", "")), str(r.get("message", ""))) for r in given if isinstance(r, dict)]
    shown = {key: problem[key] for key in SHOWN_DATA if problem.get(key) is not None}
    return kinds[code](str(problem.get("detail") or problem.get("title") or ""), reasons=reasons, **shown)


def _kinds(kind: type[RegistryError]) -> Iterator[type[RegistryError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _kinds(child)


class Blocking(Protocol):
    """A client that blocks."""

    def ask(self, call: Call[T]) -> T:
        """Ask, and wait for the answer."""


class Awaiting(Protocol):
    """A client that is awaited."""

    async def ask(self, call: Call[T]) -> T:
        """Ask."""


class operation(Generic[P, T]):  # noqa: N801 (a decorator)
    """Make a method that returns a question (`Call[T]`) one that returns its answer (`T`), of whichever client has it.

    `help()` and `inspect.signature()` show the parameters as they are written, and the answer's type.
    """

    def __init__(self, question: Callable[Concatenate[Any, P], Call[T]]) -> None:
        def method(client: Any, /, *args: P.args, **more: P.kwargs) -> Any:  # noqa: ANN401 (an answer, or what to await)
            return client.ask(question(client, *args, **more))

        signature = inspect.signature(question)
        answer = str(signature.return_annotation).removeprefix("Call[").removesuffix("]")
        self._method = functools.update_wrapper(method, question)
        self._method.__signature__ = signature.replace(return_annotation=answer)  # type: ignore[attr-defined]
        self.__doc__ = question.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Callable[Concatenate[Any, P], Any]: ...

    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, T]: ...

    @overload
    def __get__(self, client: Awaiting, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, client: Any, owner: type) -> Any:
        """Return the method; of a class, the function."""
        return self._method if client is None else MethodType(self._method, client)
