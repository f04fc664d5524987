"""The real TensorZero gateway: in a child process, as it may end after refusing; and as a program, beside its agent."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import tomllib
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from model_registry.gateways.tensorzero.reading.file_references import strings
from model_registry.gateways.tensorzero.validation.dummy_credentials import environment as dummy_credentials
from model_registry.gateways.tensorzero.validation.dummy_credentials import lay_out
from support.processes import Program, wait_until
from support.waiting import LONGEST

_PROGRAM = Path(__file__).with_name("children") / "gateway_program.py"
_START_SECONDS = LONGEST
_ANSWER_SECONDS = LONGEST
_LOOPBACK = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
"""Credentials come with a proxy that leads nowhere; stub servers are not behind it."""


class Refused(Exception):
    """The gateway does not load this configuration."""


class CallFailed(Exception):
    """The gateway answered with an error."""


class Gateway:
    """A running gateway. Nothing it does leaves this machine but the calls to the providers of its configuration."""

    def __init__(
        self, config: str, directory: Path, environment: dict[str, str] | None = None, *, dummies: bool = True
    ) -> None:
        """Describe it; `environment` overrides the made-up credentials that the configuration gets with `dummies`."""
        file = directory / "tensorzero.toml"
        file.write_text(config, encoding="utf-8")
        lay_out(directory)
        made_up = dummy_credentials(strings(tomllib.loads(config)), directory) if dummies else {}
        # Spawned: a forked child of a process with threads can hang.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_run,
            args=(theirs, str(file), made_up | _LOOPBACK | (environment or {})),
            daemon=True,
            name="gateway",
        )
        self._openai_base = ""

    def inference(self, **arguments: Any) -> tuple[str, str]:
        """Ask through the Python client. Answers the text, and the variant that gave it."""
        self._pipe.send(arguments)
        outcome, content = self._receive(_ANSWER_SECONDS)
        if outcome != "answer":
            raise CallFailed(content)
        text, variant = content
        return text, variant

    def complete(self, model: str) -> str:
        """Ask for a chat completion over HTTP, as OpenAI's clients do."""
        body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
        return str(self._post("/chat/completions", body)["choices"][0]["message"]["content"])

    def usage(self, model_name: str) -> dict[str, Any]:
        """What the gateway says a chat completion took."""
        body = {"model": f"tensorzero::model_name::{model_name}", "messages": [{"role": "user", "content": "hello"}]}
        found: dict[str, Any] = self._post("/chat/completions", body)["usage"]
        return found

    def embed(self, model: str) -> list[float]:
        """Ask for an embedding over HTTP."""
        found: list[float] = self._post("/embeddings", {"model": model, "input": "hello"})["data"][0]["embedding"]
        return found

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        response = httpx.post(f"{self._openai_base}{path}", json=body, timeout=_ANSWER_SECONDS, trust_env=False)
        if response.is_error:
            raise CallFailed(response.text)
        return response.json()

    def _receive(self, seconds: float) -> tuple[str, Any]:
        if not self._pipe.poll(seconds):
            raise TimeoutError(f"the gateway said nothing for {seconds} s")
        try:
            outcome, content = self._pipe.recv()
        except EOFError:
            self._process.join(5)
            raise Refused(f"the gateway's process ended with exit code {self._process.exitcode}") from None
        return outcome, content

    def __enter__(self) -> Self:
        self._process.start()
        outcome, content = self._receive(_START_SECONDS)
        if outcome != "ready":
            self._end()
            raise Refused(content)
        self._openai_base = content
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        # It holds no data: no reason to wait for a graceful end.
        self._process.kill()
        self._process.join()
        self._process.close()
        self._pipe.close()


def _run(pipe: Connection, config_file: str, environment: dict[str, str]) -> None:
    """Be the child: start the gateway twice, as a Python client and behind HTTP, and answer until the pipe closes."""
    os.environ.update(environment)
    import tensorzero  # noqa: PLC0415 (the environment comes first)

    try:
        client = tensorzero.TensorZeroGateway.build_embedded(config_file=config_file)
        # The package's own way to embeddings, which its client has not.
        http: Any = tensorzero._start_http_gateway(  # noqa: SLF001
            config_file=config_file, clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
        )
    except tensorzero.TensorZeroInternalError as error:
        pipe.send(("refused", str(error)))
        return
    pipe.send(("ready", http.base_url))
    while True:
        try:
            arguments = pipe.recv()
        except EOFError:
            return
        try:
            response: Any = client.inference(**arguments)
            pipe.send(("answer", (response.content[0].text, response.variant_name)))
        except tensorzero.TensorZeroError as error:
            pipe.send(("failed", str(error)))


class Programs:
    """Starts programs beside the service."""

    def __init__(self, directory: Path, nats_url: str) -> None:
        self.nats_url = nats_url
        self._directory = directory
        self._started: list[Program] = []
        self.client = httpx.Client(trust_env=False)
        """For all questions: making one takes longer than an answer."""

    def __call__(self, name: str, *argv: str) -> Program:
        self._started.append(Program(list(argv), self._directory / f"{name}.log"))
        return self._started[-1]

    def end(self) -> None:
        for program in reversed(self._started):
            program.end()
        self.client.close()


class GatewayProgram:
    """A gateway that an agent brings its configurations to."""

    def __init__(self, start: Programs, directory: Path, port: int, environment: Path | None = None) -> None:
        """Describe it; `environment`: the file with its variables, instead of a dummy for each that it needs."""
        self._environment = () if environment is None else (str(environment),)
        self._start, self._out, self._port = start, directory / "out", port
        self.pid_file = directory / "gateway.pid"
        self.options = ("--pid-file", str(self.pid_file), "--health", f"http://127.0.0.1:{port}/status")

    def run(self) -> None:
        config = self._out / "current" / "tensorzero.toml"
        wait_until(config.is_file)
        self._start(
            "gateway",
            sys.executable,
            str(_PROGRAM),
            str(config),
            str(self._port),
            str(self.pid_file),
            *self._environment,
        )

    def loaded(self) -> str:
        """The configuration that it runs with; nothing before it runs."""
        try:
            return self._start.client.get(f"http://127.0.0.1:{self._port}/loaded").text
        except httpx.HTTPError:
            return ""

    def base(self) -> str:
        """The base URL of OpenAI's protocol. Errors: httpx.HTTPError."""
        return self._start.client.get(f"http://127.0.0.1:{self._port}/base").text

    def answer(self, asked: str = "function_name::agents_chat") -> str:
        """What it answers now; nothing when it fails."""
        body = {"model": f"tensorzero::{asked}", "messages": [{"role": "user", "content": "hello"}]}
        try:
            answer = self._start.client.post(f"{self.base()}/chat/completions", json=body)
        except httpx.HTTPError:
            return ""
        return str(answer.json()["choices"][0]["message"]["content"]) if answer.is_success else ""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
