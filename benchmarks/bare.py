"""The limit for reads: a handler that only sends prepared responses.

Served by the same function as the registry, so that uvicorn's settings are the same. `servers.py` starts it with a port
and a JSON file of responses.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model_registry.cli.serve import run_app
from model_registry.settings import Settings


def bare_app(answers: dict[str, tuple[Message, Message]]) -> ASGIApp:
    """An application that looks up a path and sends two ASGI messages."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        start, body = answers[scope["path"]]
        await send(start)
        await send(body)

    return app


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _read(answer: dict[str, Any]) -> tuple[Message, Message]:
    headers = [(name.encode(), value.encode()) for name, value in answer["headers"]]
    return (
        {"type": "http.response.start", "status": answer["status"], "headers": headers},
        {"type": "http.response.body", "body": base64.b64decode(answer["body"])},
    )


def main() -> None:
    """Serve `sys.argv[2]` (responses by path) on port `sys.argv[1]` until a signal stops it."""
    answers = {path: _read(answer) for path, answer in json.loads(Path(sys.argv[2]).read_bytes()).items()}

    async def make_app() -> ASGIApp:
        return bare_app(answers)

    run_app(make_app, Settings(MODEL_REGISTRY_PORT=int(sys.argv[1])))


if __name__ == "__main__":
    main()
