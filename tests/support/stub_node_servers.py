"""Servers with Ollama's and vLLM's protocols that run no model, and an `nvidia-smi` without a GPU."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

GIB = 2**30


@dataclass
class StubNodeServer:
    """Real HTTP on loopback. Its loaded models may change; it may be stopped, and restarted on its port."""

    port: int = 0
    loaded: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Model -> further fields in Ollama's `/api/ps` or vLLM's `/v1/models`."""
    pulled: list[str] = field(default_factory=list)
    """Further models listed by `/api/tags`."""
    status: int = 200
    hangs: float = 0
    """Seconds until it responds."""
    authorization: list[str | None] = field(default_factory=list)
    """What came with each request."""

    def start(self) -> Self:
        """Listen."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
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
        """Responses like those of real servers, including fields that the agent does not read."""
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


def _handler(stub: StubNodeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Uses HTTP/1.0: a stopped server has no connection left."""

        def do_GET(self) -> None:
            stub.authorization.append(self.headers["Authorization"])
            time.sleep(stub.hangs)
            content = stub.answer(self.path)
            body = json.dumps(content if stub.status == 200 else {"error": "busy"}).encode()
            self.send_response(stub.status if content is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name it has in the base class)
            """Log nothing."""

    return Handler


def fake_nvidia_smi(directory: Path, answer: str, then: str = "") -> None:
    """A program of this name in the directory, which has to come first in PATH. `then` is more of its shell script."""
    directory.mkdir(exist_ok=True)
    program = directory / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n{then}\n")
    program.chmod(0o755)
