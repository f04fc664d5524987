"""A model service and a language model that compute nothing, as fast as Python allows: raw ASGI under uvicorn.

What dispatch and its peers send requests to. Started with a port by `dispatch.py`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvicorn
from starlette.types import Receive, Scope, Send

MODEL = "small-and-quick"
_PIECE = bytes(64 * 2**10)
_JSON = (b"content-type", b"application/json")
_ANSWERS = {
    "/health": {"status": "ok"},
    "/predict": {"result": [0.25, -0.5, 1.0]},
    "/v1/models": {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "bench"}]},
    "/v1/chat/completions": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Yes, and quickly."}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    },
}
_BODIES = {path: json.dumps(answer).encode() for path, answer in _ANSWERS.items()}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the whole request, then answer by its path: /events/N, /bytes/N, or one of the fixed answers."""
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    path = scope["path"]
    if path.startswith("/events/"):
        await _events(int(path.removeprefix("/events/")), send)
    elif path.startswith("/bytes/"):
        await _bytes(int(path.removeprefix("/bytes/")), send)
    else:
        body = b'{"received":%d}' % size if path == "/received" else _BODIES.get(path)
        await _whole(200 if body else 404, body or b"{}", send)


async def _whole(status: int, body: bytes, send: Send) -> None:
    headers = [_JSON, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _events(number: int, send: Send) -> None:
    """Server-sent events, a hundred a second, each with the time of the system's monotonic clock when it was sent."""
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(number):
        await asyncio.sleep(0.01)
        event = b"data: %d\n\n" % time.monotonic_ns()
        await send({"type": "http.response.body", "body": event, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _bytes(size: int, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
    while size:
        piece = _PIECE[: min(size, len(_PIECE))]
        size -= len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": size > 0})


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), lifespan="off", log_level="warning", access_log=False)
