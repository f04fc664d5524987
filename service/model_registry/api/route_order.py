"""The order in which routes are tried: the more specific path first, in whatever order the routers are given.

Where several paths fit a request, the one that names a segment comes before the one that takes any (`/models/stats`
before `/models/{reference:path}`), and a longer tail before a parameter that takes the whole rest
(`/models/{reference:path}/versions`). The order follows from the paths alone; no router has to stand before another.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter
from starlette.routing import BaseRoute, Route

_LITERAL, _SEGMENT, _SEGMENTS, _REST = range(4)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def in_order(routers: Iterable[APIRouter]) -> list[BaseRoute]:
    """The routes of all routers, most specific path first, then by path and method."""
    return sorted((route for router in routers for route in router.routes), key=_precedence)


def _precedence(route: BaseRoute) -> tuple[list[tuple[int, str]], int]:
    if not isinstance(route, Route):
        message = f"{route!r} has no path to order it by"
        raise TypeError(message)
    methods = (_METHODS.index(method) for method in route.methods or () if method in _METHODS)
    return _specificity(route.path), min(methods, default=len(_METHODS))


def _specificity(path: str) -> list[tuple[int, str]]:
    segments = path.strip("/").split("/")
    return [_rank(segment, is_last=position == len(segments)) for position, segment in enumerate(segments, start=1)]


def _rank(segment: str, *, is_last: bool) -> tuple[int, str]:
    if not segment.startswith("{"):
        return _LITERAL, segment
    if not segment.endswith(":path}"):
        return _SEGMENT, ""
    return (_REST if is_last else _SEGMENTS), ""
