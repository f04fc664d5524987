"""Real processes to measure: the registry, the bare handler, and PostgREST; and single requests to them.

The measurements choose the requests; `load.py` sends many of them.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from model_registry.devstack.ports import LOOPBACK, choose_port

COMMAND = str(Path(sys.executable).with_name("model-registry"))
API_KEY = "a key for benchmarks only"

_BARE = Path(__file__).with_name("bare.py")
_PATIENCE_SECONDS = 60
_SETTLE_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Answer:
    """The response of a server."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """The value of a header that must be present."""
        return dict(self.headers)[name]


class Server:
    """A running server on loopback."""

    def __init__(self, port: int, pid: int | None, headers: Mapping[str, str] | None = None) -> None:
        """`headers` are sent with every request."""
        self.port = port
        self.headers = dict(headers or {})
        self._process = psutil.Process(pid)
        self.pid = self._process.pid
        self._connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_PATIENCE_SECONDS)

    def ask(self, target: str, *, headers: Mapping[str, str] | None = None, expect: int = 200) -> Answer:
        """GET once, over a keep-alive connection. Errors: RuntimeError for another status."""
        all_headers = self.headers | dict(headers or {})
        try:
            answer = self._get(target, all_headers)
        except ConnectionError:  # the server has closed the connection because it was idle
            answer = self._get(target, all_headers)
        if answer.status != expect:
            message = f"GET {target}: {answer.status} {answer.body[:500]!r}"
            raise RuntimeError(message)
        return answer

    def post(self, target: str, content: Mapping[str, Any]) -> Any:  # noqa: ANN401 (a JSON document)
        """POST a JSON document once, over a connection of its own. Errors: RuntimeError unless it is a success."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=_PATIENCE_SECONDS)
        headers = {"Content-Type": "application/json", **self.headers}
        connection.request("POST", target, json.dumps(content).encode(), headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        if not 200 <= response.status < 300:  # noqa: PLR2004
            message = f"POST {target}: {response.status} {body[:500]!r}"
            raise RuntimeError(message)
        return json.loads(body)

    def _get(self, target: str, headers: Mapping[str, str]) -> Answer:
        try:
            self._connection.request("GET", target, headers=dict(headers))
            response = self._connection.getresponse()
            return Answer(response.status, tuple((k.lower(), v) for k, v in response.getheaders()), response.read())
        except BaseException:
            self._connection.close()
            raise

    def settle(self) -> None:
        """Return when the first configuration has been validated: until then the registry is busy with it."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while True:
            try:
                self.ask("/api/tensorzero/config")
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def timed(self, target: str, *, headers: Mapping[str, str] | None = None) -> float:
        """Duration of one GET up to the last byte, in milliseconds."""
        began = time.perf_counter()
        self.ask(target, headers=headers)
        return (time.perf_counter() - began) * 1000

    def cpu_seconds(self) -> float:
        """Processor time that the process has used so far."""
        times = self._process.cpu_times()
        return times.user + times.system

    def rss_mb(self) -> float:
        """Resident memory of the process, in MB (10^6 bytes)."""
        return self._process.memory_info().rss / 1e6


@contextmanager
def registry(environment: Mapping[str, str], scratch: Path, **variables: str) -> Iterator[Server]:
    """`model-registry serve` on a running stack, with its own cache directory; returned when ready."""
    port = choose_port(None, taken=set())
    own = {"MODEL_REGISTRY_API_KEY": API_KEY, "MODEL_REGISTRY_CACHE_DIR": str(scratch / f"cache-{port}")}
    argv = [COMMAND, "serve", "--port", str(port)]
    with process(argv, scratch / "registry.log", {**environment, **own, **variables}) as started:
        server = Server(port, started.pid)
        wait(lambda: server.ask("/readyz").status, started)
        yield server


@contextmanager
def bare(answers: Sequence[Answer], scratch: Path) -> Iterator[Server]:
    """A handler that returns these responses at /0, /1, ..., served like the registry."""
    port = choose_port(None, taken=set())
    file = scratch / "answers.json"
    file.write_text(json.dumps({f"/{number}": _wire(answer) for number, answer in enumerate(answers)}))
    with process([sys.executable, str(_BARE), str(port), str(file)], scratch / "bare.log", {}) as started:
        server = Server(port, started.pid)
        wait(lambda: server.ask("/0", expect=answers[0].status).status, started)
        yield server


def _wire(answer: Answer) -> dict[str, object]:
    # uvicorn adds the date itself, to both.
    headers = [pair for pair in answer.headers if pair[0] != "date"]
    return {"status": answer.status, "headers": headers, "body": base64.b64encode(answer.body).decode()}


@contextmanager
def process(argv: Sequence[str], log: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs until the end of the block; what it prints goes to a file."""
    with log.open("ab") as output:
        started = subprocess.Popen(argv, env={**surroundings(), **environment}, stdout=output, stderr=output)
    try:
        yield started
    finally:
        started.terminate()
        started.wait(_PATIENCE_SECONDS)


def surroundings() -> dict[str, str]:
    """The environment of this process, without settings of another registry."""
    foreign = ("MODEL_REGISTRY_", "POSTGREST_", "SUPABASE_", "NATS_", "DATABASE_URL", "PG")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def wait(ready: Callable[[], object], started: subprocess.Popen[bytes], seconds: float = _PATIENCE_SECONDS) -> None:
    """Return when `ready` raises no more. Errors: RuntimeError when the program ends, or takes longer."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            ready()
        except (OSError, http.client.HTTPException, RuntimeError) as error:
            if started.poll() is not None or time.monotonic() > deadline:
                message = f"{started.args!r} did not come up: {error}"
                raise RuntimeError(message) from error
            time.sleep(0.02)
        else:
            return
