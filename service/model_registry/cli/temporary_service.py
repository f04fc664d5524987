"""The service for the length of one command, where only its database runs: `scripts/migrate_tensorzero.py`."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from model_registry.errors import StackError

_SERVE = [sys.executable, "-c", "from model_registry.cli import main; main()", "serve", "--host=127.0.0.1", "--port=0"]
_STOP_SECONDS = 15
_LAST_LINES = 5


@contextmanager
def temporary_service() -> Iterator[tuple[str, str]]:
    """Run the service on a free port of this machine, with the environment's settings. Yields its URL and an admin key.

    It receives no GPU events, and keeps nothing on disk. Errors: StackError, with its last words.
    """
    key = secrets.token_urlsafe(32)
    with TemporaryDirectory(prefix="model-registry-") as cache:
        own = {
            "MODEL_REGISTRY_API_KEY": key,
            "MODEL_REGISTRY_CACHE_DIR": cache,
            "MODEL_REGISTRY_LOG_FORMAT": "json",
            "MODEL_REGISTRY_LOG_LEVEL": "info",
            "NATS_URL": "",
        }
        with subprocess.Popen(  # noqa: S603 (our own command)
            _SERVE, env=os.environ | own, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield _url(process), key
            finally:
                _stop(process)


def _url(process: subprocess.Popen[str]) -> str:
    """Wait for the line that says where it answers, and read on, so that it never waits for us."""
    lines = process.stderr or iter(())
    last: deque[str] = deque(maxlen=_LAST_LINES)
    for line in lines:
        last.append(line.strip())
        url = _ready(line)
        if url is not None:
            threading.Thread(target=_discard, args=(lines,), daemon=True).start()
            return url
    raise StackError("The service did not start:\n" + "\n".join(last))


def _ready(line: str) -> str | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return str(entry["url"]) if isinstance(entry, dict) and entry.get("event") == "ready" else None


def _discard(lines: Iterable[str]) -> None:
    deque(lines, maxlen=0)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
