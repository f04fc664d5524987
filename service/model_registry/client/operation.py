"""A method that is written once, as a question, and answers in `Client` at once, in `AsyncClient` when awaited."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from model_registry.client.requests import Call

P = ParamSpec("P")
T = TypeVar("T")


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
