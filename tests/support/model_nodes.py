"""Model servers on nodes, as programs that are killed and come back, and callers that ask all the time.

Uses nothing of pytest: benchmarks use it too.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

_PROGRAM = Path(__file__).with_name("children") / "model_node.py"
_PATIENCE_SECONDS = 30.0


class ModelNode:
    """A node with one model server, always at the same port."""

    def __init__(self, name: str, models: str) -> None:
        """`models`: the names that it serves, separated by commas."""
        self.name = name
        self._models = models
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What it announces."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it."""
        self._launch(self._models)

    def kill(self) -> None:
        """End it by SIGKILL: connections are refused."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def haunt(self) -> None:
        """Listen at the address of a killed node, refuse everything, and count."""
        self._launch("")

    @property
    def asked(self) -> int:
        """How many completions it was asked for since it was started."""
        return int(httpx.get(f"{self.url}/asked", trust_env=False).text)

    def event(self, status: str) -> dict[str, Any]:
        """What it publishes on NATS."""
        said = {"node_id": self.name, "provider_type": "vllm", "model_id": self._models.partition(",")[0]}
        return {**said, "status": status, "endpoint": self.url}

    def _launch(self, models: str) -> None:
        argv = [sys.executable, str(_PROGRAM), self.name, str(self.port), models]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


@dataclass(frozen=True, slots=True)
class Answered:
    """One request: when it was sent and answered (epoch seconds), and by whom; no node when it failed."""

    sent: float
    done: float
    node: str
    failure: str = ""


@dataclass(slots=True)
class Callers:
    """Asks a model of an OpenAI server at a fixed rate, whatever the answers."""

    base: str
    model: str
    rate: float
    """Requests a second."""
    answers: list[Answered] = field(default_factory=list)

    async def run(self, until: asyncio.Event) -> None:
        """Ask until then, and wait for every answer."""
        began, asking = time.time(), []
        while not until.is_set():
            asking.append(asyncio.create_task(self._ask()))
            await asyncio.sleep(max(0.0, began + len(asking) / self.rate - time.time()))
        await asyncio.gather(*asking)

    @property
    def failed(self) -> list[Answered]:
        """The requests that failed."""
        return [answer for answer in self.answers if not answer.node]

    def first(self, node: str, after: float) -> float | None:
        """Seconds from a moment until the first answer of a node to a request sent since; None: there was none."""
        return min((a.done - after for a in self.answers if a.node == node and a.sent >= after), default=None)

    async def _ask(self) -> None:
        sent = time.time()
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                status, body = await _post(f"{self.base}/chat/completions", self.model)
            text = json.loads(body)["choices"][0]["message"]["content"] if status == httpx.codes.OK else ""
            self.answers.append(
                Answered(sent, time.time(), text.partition(" ")[0], "" if text else f"{status} {body!r}")
            )
        except (OSError, ValueError, KeyError, TimeoutError) as error:
            self.answers.append(Answered(sent, time.time(), "", repr(error)))


async def _post(url: str, model: str) -> tuple[int, bytes]:
    """Ask once, over a connection of its own. A client's pool would take more computing than all that is asked here."""
    parts = urlsplit(url)
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]}).encode()
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.read()
    finally:
        writer.close()
    start, _, content = answer.partition(b"\r\n\r\n")
    return int(start.split(b" ")[1]), content
