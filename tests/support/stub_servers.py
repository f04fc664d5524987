"""Servers that run no model: of OpenAI's protocol, which says who answered, and of Ollama's and vLLM's."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

EMBEDDING = [0.25, -0.5, 1.0]


class _Handler(BaseHTTPRequestHandler):
    """Speaks HTTP/1.0, so that no connection outlives its answer: a stopped server is unreachable at once."""

    def _send(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name it has in the base class)
        """Keep quiet."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that came."""

    path: str
    model: str
    authorization: str | None
    body: dict[str, Any]


class StubModelServer:
    """Real HTTP: `/v1/chat/completions` and `/v1/embeddings`. `stop` is a server that is down.

    On a free port, unless it is to take the place of one that was stopped.
    """

    def __init__(self, name: str, port: int = 0) -> None:
        self.name = name
        self.asked: list[Asked] = []
        self.usage: dict[str, Any] = {}
        """What it says of the tokens of a completion beside their numbers."""
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _model_handler(self))
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def api_base(self) -> str:
        """What to register as the provider's base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def answer_to(self, model: str) -> str:
        """What it says when it is asked for this model."""
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


def _model_handler(stub: StubModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            model = str(body.get("model"))
            stub.asked.append(Asked(self.path, model, self.headers["Authorization"], body))
            if self.path == "/v1/chat/completions":
                completion = _completion(model, stub.answer_to(model))
                completion["usage"] |= stub.usage
                self._send(200, completion)
            elif self.path == "/v1/embeddings":
                self._send(200, _embeddings(model, body["input"]))
            else:
                self._send(404, {"error": {"message": f"no {self.path} here", "type": "invalid_request_error"}})

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


GIB = 2**30


@dataclass
class StubNodeServer:
    """Real HTTP on loopback. What it has loaded may change; it may be stopped, and started again on its port."""

    port: int = 0
    loaded: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Model -> what else Ollama's `/api/ps`, or vLLM's `/v1/models`, says of it."""
    pulled: list[str] = field(default_factory=list)
    """What `/api/tags` lists besides."""
    status: int = 200
    hangs: float = 0
    """Seconds until it answers."""
    authorization: list[str | None] = field(default_factory=list)
    """What came with each request."""

    def start(self) -> Self:
        """Listen."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _node_handler(self))
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the port: connections are refused."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread.is_alive():
            self.stop()

    def answer(self, path: str) -> dict[str, Any] | None:
        """As the real ones answer, with what we do not read left in."""
        if path == "/api/ps":
            return {"models": [_running(name, said) for name, said in self.loaded.items()]}
        if path == "/api/tags":
            return {"models": [{"name": name, "model": name, "size": 5 * GIB} for name in [*self.loaded, *self.pulled]]}
        if path == "/v1/models":
            return {"object": "list", "data": [_served(name, said) for name, said in self.loaded.items()]}
        return None


def _running(name: str, said: dict[str, Any]) -> dict[str, Any]:
    details = {"format": "gguf", "family": "qwen3", "parameter_size": "8.2B", "quantization_level": "Q4_K_M"}
    return {
        "name": name,
        "model": name,
        "size": 6 * GIB,
        "digest": "500a1f067a9f",
        "details": details,
        "expires_at": "2026-11-27T10:05:00.123456789Z",
        "size_vram": 6 * GIB,
        "context_length": 4096,
        **said,
    }


def _served(name: str, said: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": 1772000000,
        "owned_by": "vllm",
        "root": name,
        "parent": None,
        "max_model_len": 32768,
        "permission": [],
        **said,
    }


def _node_handler(stub: StubNodeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        def do_GET(self) -> None:
            stub.authorization.append(self.headers["Authorization"])
            time.sleep(stub.hangs)
            content = stub.answer(self.path)
            body = content if stub.status == 200 else {"error": "busy"}
            self._send(stub.status if content is not None else 404, body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._send(200 if self.path == "/api/show" else 404, {"capabilities": ["completion", "tools"]})

    return Handler


def fake_nvidia_smi(directory: Path, answer: str, then: str = "") -> None:
    """A program of this name in the directory, which has to come first in PATH. `then` is more of its shell script."""
    directory.mkdir(exist_ok=True)
    program = directory / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n{then}\n")
    program.chmod(0o755)
