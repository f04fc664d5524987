"""JSON as bytes, for callers and for the disk: whatever Postgres can hold."""

from __future__ import annotations

import json
from typing import Any

import orjson


def json_bytes(value: Any) -> bytes:  # noqa: ANN401 (any JSON value)
    """A JSON value as UTF-8."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # An integer of more than 64 bits: the drafts refuse it, but jsonb takes it from whoever writes SQL.
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
