"""Fetches the input of the sources: from a file, a URL or an installed wheel. The only file here that does I/O."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from model_registry.entities.json_types import Json
from model_registry.errors import SourceUnreadable
from model_registry.loopback import is_loopback

_TIMEOUT = httpx.Timeout(30, connect=5)
LARGEST = 64 * 2**20
"""Bytes. LiteLLM's whole price map has 4 MB."""

_MOST_DIGITS = 400

Progress = Callable[[int, int | None], None]
"""Called with the bytes received, and the total if known."""


def is_url(source: str) -> bool:
    """Whether a source is a URL, and not a file."""
    return source.startswith(("http://", "https://"))


def price_map_of_wheel() -> Path | None:
    """Find LiteLLM's price map in an installed wheel. LiteLLM itself is not imported."""
    spec = importlib.util.find_spec("litellm")
    for directory in (spec.submodule_search_locations if spec else None) or ():
        path = Path(directory) / "model_prices_and_context_window_backup.json"
        if path.is_file():
            return path
    return None


def read_text(path: Path) -> str:
    """Read a file's text. Errors: SourceUnreadable."""
    try:
        return path.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise SourceUnreadable(f"{path} cannot be read: {error}") from error


def read_json(path: Path) -> Json:
    """Read a file's JSON. Errors: SourceUnreadable."""
    return _parsed(read_text(path), str(path))


def fetch_json(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
    progress: Progress = lambda _done, _total: None,
    largest: int = LARGEST,
) -> Json:
    """GET a URL's JSON, or POST a body to it.

    Timeout: 5 s to connect, 30 s between two pieces. No retry; follows redirects; at most `largest` bytes.
    Errors: SourceUnreadable, for any failure; with the HTTP status as `status`, where there is one.
    """
    method = "GET" if body is None else "POST"
    pieces, size = [], 0
    try:
        with (
            httpx.Client(timeout=_TIMEOUT, follow_redirects=True, trust_env=not is_loopback(url)) as client,
            client.stream(method, url, headers=dict(headers or {}), json=body) as response,
        ):
            response.raise_for_status()
            length = response.headers.get("content-length", "")
            for piece in response.iter_bytes():
                pieces.append(piece)
                size += len(piece)
                if size > largest:
                    raise SourceUnreadable(f"{url} answers with more than {largest >> 20} MB")
                progress(size, int(length) if length.isdecimal() else None)
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        raise SourceUnreadable(f"{url} cannot be read: it answers {status}", status=status) from error
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise SourceUnreadable(f"{url} cannot be read: {error}") from error
    return _parsed(b"".join(pieces), url)


def _integer(digits: str) -> int | float:
    """Read an integer. One of thousands of digits is infinite, and must not end a whole import."""
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


def _parsed(text: str | bytes, source: str) -> Json:
    try:
        document: Json = json.loads(text, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise SourceUnreadable(f"{source} is not JSON: {error}") from error
    return document
