"""`/docs`: the interface, to read and to try out. All of it from here: the page asks nobody else for anything."""

from __future__ import annotations

import functools
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from model_registry.api.auth import Reader
from model_registry.api.cached_responses import etag_of, matches
from model_registry.api.guarded_route import GuardedRoute
from model_registry.errors import NotFound

router = APIRouter(prefix="/docs", include_in_schema=False, route_class=GuardedRoute)

_DIRECTORY = Path(__file__).parent.parent / "swagger_ui"
_PAGE = "index.html"
_MEDIA_TYPES = {
    _PAGE: "text/html",
    "initializer.js": "text/javascript",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Everything from here, no script in the page itself. `data:` is for the icons in Swagger UI's style sheet."""


@functools.cache
def _file(name: str) -> tuple[bytes, str]:
    """A file's content and ETag, read at the first request, and kept: 2 MB that most replicas never need."""
    content = (_DIRECTORY / name).read_bytes()
    return content, etag_of(content)


@router.get("")
async def page(request: Request, _caller: Reader) -> Response:
    """The page."""
    return _served(request, _PAGE)


@router.get("/{name}")
async def asset(request: Request, name: str, _caller: Reader) -> Response:
    """What the page is made of."""
    if name not in _MEDIA_TYPES or name == _PAGE:
        raise NotFound(f"There is no /docs/{name}.")
    return _served(request, name)


def _served(request: Request, name: str) -> Response:
    content, etag = _file(name)
    headers = {"ETag": etag, "Cache-Control": "no-cache", "Content-Security-Policy": _POLICY}
    if matches(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    return Response(content, 200, headers, _MEDIA_TYPES[name])
