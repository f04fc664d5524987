"""A server with OpenAI's protocol and no model: it answers with its own name, and records its callers."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

EMBEDDING = [0.25, -0.5, 1.0]


@dataclass(frozen=True, slots=True)
class Asked:
    """One received request."""

    path: str
    model: str
    authorization: str | None
    body: dict[str, Any]


class StubModelServer:
    """Real HTTP: `/v1/chat/completions` and `/v1/embeddings`. After `stop` the server is down.

    Uses a free port, unless it replaces a stopped server.
    """

    def __init__(self, name: str, port: int = 0) -> None:
        self.name = name
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def api_base(self) -> str:
        """The base URL to register for the provider."""
        return f"http://127.0.0.1:{self.port}/v1"

    def answer_to(self, model: str) -> str:
        """Its response to a request for this model."""
        return f"{self.name} as {model}"

    def stop(self) -> None:
        """Close the port: from now on connections are refused."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread.is_alive():
            self.stop()


def _handler(stub: StubModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Uses HTTP/1.0, so that no connection outlives its response: a stopped server is unreachable at once."""

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            model = str(body.get("model"))
            stub.asked.append(Asked(self.path, model, self.headers["Authorization"], body))
            if self.path == "/v1/chat/completions":
                self._send(200, _completion(model, stub.answer_to(model)))
            elif self.path == "/v1/embeddings":
                self._send(200, _embeddings(model, body["input"]))
            else:
                self._send(404, {"error": {"message": f"no {self.path} here", "type": "invalid_request_error"}})

        def _send(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name it has in the base class)
            """Log nothing."""

    return Handler


def _completion(model: str, text: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [choice],
        "usage": usage,
    }


def _embeddings(model: str, asked: str | list[str]) -> dict[str, Any]:
    texts = [asked] if isinstance(asked, str) else asked
    data = [{"object": "embedding", "index": i, "embedding": EMBEDDING} for i in range(len(texts))]
    return {"object": "list", "model": model, "data": data, "usage": {"prompt_tokens": 3, "total_tokens": 3}}
