"""Getting what the readers read: from a file, a URL or an installed wheel. The only file here that does I/O."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from model_registry.errors import SourceUnreadable
from model_registry.loopback import is_loopback

_TIMEOUT = httpx.Timeout(30, connect=5)
LARGEST = 64 * 2**20
"""Bytes. The whole price map of LiteLLM is 4 MB."""

Progress = Callable[[int, int | None], None]
"""Told how many bytes have come, and of how many."""


def is_url(place: str) -> bool:
    """Whether a place is on the web, and not a file."""
    return place.startswith(("http://", "https://"))


def price_map_of_wheel() -> Path | None:
    """LiteLLM's price map, where its wheel is installed beside us. LiteLLM itself is not imported."""
    found = importlib.util.find_spec("litellm")
    for directory in (found.submodule_search_locations if found else None) or ():
        path = Path(directory) / "model_prices_and_context_window_backup.json"
        if path.is_file():
            return path
    return None


def read_text(path: Path) -> str:
    """A file's text. Errors: SourceUnreadable."""
    try:
        return path.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise SourceUnreadable(f"{path} cannot be read: {error}") from error


def read_json(path: Path) -> Any:  # noqa: ANN401 (any JSON value)
    """A file's JSON. Errors: SourceUnreadable."""
    return _parsed(read_text(path), str(path))


def fetch_json(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
    progress: Progress = lambda _done, _total: None,
    largest: int = LARGEST,
) -> Any:  # noqa: ANN401 (any JSON value)
    """GET a URL's JSON, or POST a body to it.

    Timeout: 5 s to connect, 30 s between two pieces. Made once; redirects are followed; at most `largest` bytes.
    Errors: SourceUnreadable, whatever goes wrong.
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
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise SourceUnreadable(f"{url} cannot be read: {error}") from error
    return _parsed(b"".join(pieces), url)


def _parsed(text: str | bytes, place: str) -> Any:  # noqa: ANN401 (any JSON value)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceUnreadable(f"{place} is not JSON: {error}") from error
