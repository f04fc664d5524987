"""Model services as processes of their own, to be hung, broken, killed and started again on the same port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from support.children.stub_control import Faults, Seen

_TESTS = Path(__file__).resolve().parents[1]
_SECONDS = 30


class StubModelService:
    """`support/children/model_service.py` as a process. It uses nothing of pytest: benchmarks use it too."""

    def __init__(self, model_type: str = "LSTM", *, journal: Path | None = None, **faults: Any) -> None:
        """Start it; `faults` are fields of `Faults`. `journal`: a file for the ids of the calls it carries out."""
        self.model_type = model_type
        self._journal = journal
        self.port = 0
        self._control_port = 0
        self.faults = Faults(**faults)
        self.start()

    @property
    def url(self) -> str:
        """Its base address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, on the ports that it had before. It forgets what it has seen."""
        argv = [sys.executable, "-m", "support.children.model_service", "--model-type", self.model_type]
        argv += ["--port", str(self.port), "--control-port", str(self._control_port)]
        argv += ["--faults", json.dumps(asdict(self.faults))]
        argv += ["--journal", str(self._journal)] if self._journal else []
        environment = {**os.environ, "PYTHONPATH": str(_TESTS)}
        self._process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        ports = json.loads(self._process.stdout.readline())
        self.port, self._control_port = ports["port"], ports["control_port"]

    def set(self, **faults: Any) -> None:
        """Change how it behaves: fields of `Faults`."""
        self.faults = Faults(**self._control("POST", "/set", faults))

    def seen(self) -> Seen:
        """What happened since it was started."""
        document = self._control("GET", "/seen")
        counted = {"executed": Counter(document["executed"]), "paths": Counter(document["paths"])}
        return Seen(**{**document, **counted})

    def executed(self) -> Counter[str]:
        """Call id -> how often it was carried out, since the journal began: a kill does not shorten it."""
        assert self._journal is not None
        return Counter(self._journal.read_text().split())

    def kill(self) -> None:
        """Kill it: connections are refused from now on."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def freeze(self) -> None:
        """Stop it where it stands: connections are accepted, and nothing is answered, not even its control port."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after `freeze`."""
        self._process.send_signal(signal.SIGCONT)

    def _control(self, method: str, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        connection = HTTPConnection("127.0.0.1", self._control_port, timeout=_SECONDS)
        try:
            connection.request(method, path, json.dumps(content) if content is not None else None)
            document: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return document

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave nothing running."""
        if self._process.poll() is None:
            self.kill()
