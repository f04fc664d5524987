"""A model server on a node, as a program to be killed: `GET /health` and `/v1/models`, `POST /v1/chat/completions`.

python model_node.py NAME PORT MODEL[,MODEL]. It writes its port, and answers with its name and the model that it was
asked for. Without a model it is what comes after a node at its address: it answers 503 to everything. `GET /asked`
returns how many requests came for completions.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

NAME, PORT, MODELS = sys.argv[1], int(sys.argv[2]), [name for name in sys.argv[3].split(",") if name]
asked = 0


def _answer(method: str, path: str, body: bytes) -> tuple[int, Any]:
    global asked  # noqa: PLW0603 (a program of one server)
    if path == "/asked":
        return 200, asked
    if method == "POST":
        asked += 1
    if not MODELS:
        return 503, {"error": "gone"}
    if method == "POST":
        return 200, _completion(str(json.loads(body)["model"]))
    if path == "/health":
        return 200, {"status": "ok"}
    if path == "/v1/models":
        models = [{"id": name, "object": "model", "created": 1, "owned_by": "vllm"} for name in MODELS]
        return 200, {"object": "list", "data": models}
    return 404, {"error": f"no {path} here"}


def _completion(model: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": f"{NAME} as {model}"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    about = {"id": "c-1", "object": "chat.completion", "created": 1, "model": model}
    return {**about, "choices": [choice], "usage": usage}


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ")
            fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
            body = await reader.readexactly(int(fields.get("content-length", 0)))
            status, content = _answer(method, path, body)
            data = json.dumps(content).encode()
            said = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
            writer.write(said.encode() + data)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", PORT)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


asyncio.run(_main())
