"""What takes the requests of a path that is dispatched: the entries of the table in `application.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.responses import Response

from model_registry.api.dispatch.request import DispatchRequest
from model_registry.api.problems import problem_response
from model_registry.errors import RegistryError


@dataclass(frozen=True, slots=True)
class Door:
    """One path, or, where its key in the table ends with a slash, all paths below it."""

    handle: Callable[[DispatchRequest], Awaitable[None]]
    """Answers an authorised request. It asks `Caller.may_use`, before it reads the body where the path says for what.
    Errors that it raises before it has answered are answered with `problem`."""
    methods: frozenset[str] | None
    """None: any but TRACE and CONNECT."""
    route: str
    """What metrics and documentation call it."""
    problem: Callable[[RegistryError], Response] = problem_response
