"""Floats that stay floats in Postgres: jsonb keeps a number as it is written, and 1e+16 is an integer to it.

The gateway keeps integers and floats apart in what it sends on (`extra_body`). The client of PostgREST makes the JSON
itself, so large floats go through it as marked strings, and become numbers with a decimal point on their way out.
"""

from __future__ import annotations

import math
import re
import secrets
from decimal import Decimal
from typing import Any

import httpx

from model_registry.store.ready_json import filled

_FROM = 1e16
"""From here on Python writes floats with an exponent, and Postgres reads those without one."""

_MARK = f"float {secrets.token_hex(16)} "
"""No caller can know it."""

_MARKED = re.compile(rf'"{_MARK}(-?[0-9]+\.0)"')


class ExactClient(httpx.AsyncClient):
    """An HTTP client that writes marked floats as numbers."""

    def build_request(self, *args: Any, content: Any = None, **more: Any) -> httpx.Request:  # noqa: ANN401 (as httpx has it)
        """A request as httpx makes it."""
        if isinstance(content, bytes):
            content = filled(content).decode()
        if isinstance(content, str) and _MARK in content:
            content = _MARKED.sub(r"\1", content)
        return super().build_request(*args, content=content, **more)


def exact(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    """The value with its large floats marked; the value itself where it has none."""
    return _marked(value) if _has_large(value) else value


def _is_large(value: Any) -> bool:  # noqa: ANN401 (any JSON value)
    return isinstance(value, float) and _FROM <= abs(value) < math.inf


def _has_large(value: Any) -> bool:  # noqa: ANN401 (any JSON value)
    match value:
        case dict():
            return any(map(_has_large, value.values()))
        case list():
            return any(map(_has_large, value))
    return _is_large(value)


def _marked(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    match value:
        case dict():
            return {key: _marked(item) for key, item in value.items()}
        case list():
            return [_marked(item) for item in value]
    return f"{_MARK}{Decimal(value):f}.0" if _is_large(value) else value
