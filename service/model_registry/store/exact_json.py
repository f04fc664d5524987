"""JSON for Postgres in which a float stays a float: jsonb keeps decimals as they are written, and 1e+16 is written as an
integer would be. The gateway keeps integers and floats apart in what it sends on (`extra_body`).
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import httpx

_FROM = 1e16
"""From here on Python writes floats with an exponent."""

_MARK = "float\ue000"
_MARKED = re.compile(rf'"{_MARK}([^"]+)"')


class ExactClient(httpx.AsyncClient):
    """An HTTP client whose JSON bodies are exact."""

    def build_request(self, *args: Any, json: Any = None, **more: Any) -> httpx.Request:  # noqa: ANN401 (as httpx has it)
        """A request; `json` becomes its content."""
        if json is None:
            return super().build_request(*args, **more)
        headers = httpx.Headers(more.pop("headers", None))
        headers["Content-Type"] = "application/json"
        return super().build_request(*args, content=exact_json(json), headers=headers, **more)


def exact_json(value: Any) -> bytes:  # noqa: ANN401 (any JSON value)
    """A JSON value as UTF-8, every float with a decimal point. Errors: ValueError for nan and infinity."""
    large = _has_large(value)
    marked = _marked(value) if large else value
    text = json.dumps(marked, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return (_MARKED.sub(r"\1", text) if large else text).encode("utf-8", "surrogatepass")


def _is_large(value: Any) -> bool:  # noqa: ANN401 (any JSON value)
    return isinstance(value, float) and _FROM <= abs(value) < float("inf")


def _has_large(value: Any) -> bool:  # noqa: ANN401 (any JSON value)
    match value:
        case dict():
            return any(map(_has_large, value.values()))
        case list() | tuple():
            return any(map(_has_large, value))
    return _is_large(value)


def _marked(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    """Large floats written out, in strings that no JSON of ours holds."""
    match value:
        case dict():
            return {key: _marked(item) for key, item in value.items()}
        case list() | tuple():
            return [_marked(item) for item in value]
    return f"{_MARK}{Decimal(value):f}.0" if _is_large(value) else value
