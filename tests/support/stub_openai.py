"""A server of OpenAI's protocol that runs no model: chats, streams, calls tools, embeds, speaks, fails as told.

What it answers depends on the request alone, so that answers through the registry and without it can be compared.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

SPEECH = bytes(range(256)) * 20


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that came."""

    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    model: str


@dataclass
class StubOpenAI:
    """Real HTTP/1.1 on loopback. `stop` closes the port; `start` opens it again."""

    name: str = "stub"
    port: int = 0
    status: int = 200
    """Other than 200: it refuses, quoting the `Authorization` that it got."""
    retry_after: str | None = None
    dies: bool = False
    """Close the connection instead of answering, once the request is there."""
    dies_after: int | None = None
    """Close it after so many events of a stream."""
    asked: list[Asked] = field(default_factory=list)

    def start(self) -> Self:
        """Listen."""
        self._server = _Server(("127.0.0.1", self.port), type("Handler", (_Handler,), {"stub": self}))
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Refuse connections, and close those that are open."""
        self._server.shutdown()
        self._server.close_all()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_base(self) -> str:
        return f"{self.url}/v1"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread.is_alive():
            self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: the test looks at what the caller got."""

    def close_all(self) -> None:
        self.server_close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    stub: StubOpenAI
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.stub.asked.append(Asked(self.path, headers, body, _model(headers, body)))
        if self.stub.dies:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif self.stub.status != 200:
            self._refuse(headers)
        else:
            self._answer(headers, body)

    def _answer(self, headers: dict[str, str], body: bytes) -> None:
        if "multipart" in headers["content-type"]:
            return self._send({"text": f"{len(body) > 0} {_model(headers, body)}"})
        asked = json.loads(body)
        if asked.get("stream"):
            return self._stream(list(_events(self.path, asked)))
        if self.path.endswith("/audio/speech"):
            return self._bytes(200, "audio/mpeg", SPEECH)
        return self._send(_answer(self.path, asked))

    def _refuse(self, headers: dict[str, str]) -> None:
        message = f"no, {headers.get('authorization', 'nobody')}"
        error = {"error": {"message": message, "type": "stub_error", "param": None, "code": "stub"}}
        more = {"Retry-After": self.stub.retry_after} if self.stub.retry_after else {}
        self._bytes(self.stub.status, "application/json", json.dumps(error).encode(), more)

    def _send(self, content: Any) -> None:
        self._bytes(200, "application/json", json.dumps(content).encode())

    def _bytes(self, status: int, kind: str, body: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-request-id", "req_1")
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, events: list[Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, event in enumerate([*events, "[DONE]"]):
            if number == self.stub.dies_after:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            text = event if isinstance(event, str) else json.dumps(event)
            self._chunk(f"data: {text}\n\n".encode())
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name it has in the base class)
        """Keep quiet."""


def _model(headers: dict[str, str], body: bytes) -> str:
    if "multipart" in headers.get("content-type", ""):
        found = re.search(rb'name="model"\r\n(?:[^\r]+\r\n)*\r\n(.*?)\r\n--', body, re.DOTALL)
        return found[1].decode() if found else ""
    return str(json.loads(body).get("model"))


def _answer(path: str, asked: dict[str, Any]) -> dict[str, Any]:
    model, usage = asked["model"], {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    plain = {"id": "x-1", "created": 1, "model": model, "usage": usage}
    match path.removeprefix("/v1"):
        case "/chat/completions":
            choice = {"index": 0, "message": _message(asked), "finish_reason": "stop", "logprobs": None}
            return {**plain, "object": "chat.completion", "choices": [choice], "system_fingerprint": "fp_1"}
        case "/completions":
            choice = {"index": 0, "text": f"as {model}", "finish_reason": "stop", "logprobs": None}
            return {**plain, "object": "text_completion", "choices": [choice]}
        case "/embeddings":
            texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
            data = [{"object": "embedding", "index": i, "embedding": [0.25, -1e-7, 1.0]} for i in range(len(texts))]
            return {**plain, "object": "list", "data": data}
        case "/responses":
            part = {"type": "output_text", "text": f"as {model}", "annotations": []}
            item = {"id": "m-1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
            return {"id": "resp_1", "object": "response", "created_at": 1, "model": model, "output": [item]}
        case "/rerank":
            return {"model": model, "results": [{"index": 0, "relevance_score": 0.5}]}
    return {"error": f"no {path} here"}


def _message(asked: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": f"as {asked['model']}", "refusal": None}
    if tools := asked.get("tools"):
        call = {"name": tools[0]["function"]["name"], "arguments": '{"model": "none", "n": 1.0}'}
        message |= {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": call}]}
    return message


def _events(path: str, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    chat = path.endswith("/chat/completions")
    plain = {"id": "x-1", "created": 1, "model": asked["model"]}
    plain["object"] = "chat.completion.chunk" if chat else "text_completion"
    for number, word in enumerate(("as ", asked["model"], " ü\u2028", "")):
        said: dict[str, Any] = {"delta": {"content": word}} if chat else {"text": word}
        if tools := asked.get("tools"):
            call = {"name": tools[0]["function"]["name"], "arguments": word}
            said = {"delta": {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": call}]}}
        yield {**plain, "choices": [{"index": 0, **said, "finish_reason": "stop" if number == 3 else None}]}
