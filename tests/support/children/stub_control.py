"""How a stub service behaves, what it has seen, and the port at which both are changed and read while it runs."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Mode = Literal["ok", "hang", "error", "rate_limited", "close_early", "cut_body", "slow_body"]
CALL_ID = "x-call-id"
"""The header by which requests are told apart: what arrived twice was sent twice."""


@dataclass
class Faults:
    """How it behaves; changed while it runs."""

    mode: Mode = "ok"
    """`hang`: nothing is answered; when that is over, connections end. `error`: 500. `rate_limited`: 429 with
    Retry-After. `close_early`: the connection ends without a response. `cut_body`: it ends within the body.
    `slow_body`: `piece_seconds` between two pieces of it."""
    flap_seconds: float = 0.0
    """Above 0: `mode` holds in every other interval of this length; in between all is well."""
    retry_after: float = 1.0
    seconds: float = 0.0
    """Time that a prediction takes, and the answer to `/start-training`."""
    piece_seconds: float = 1.0
    """Time between two pieces of a `slow_body`, and between two events of `/events`."""
    health_word: str = "ok"
    health_status: int = 200
    health_hangs: bool = False
    trained: bool = True
    """False: `/predict` answers 404, as while nothing is trained."""
    training_seconds: float = 1.0
    training_blocks: bool = True
    """Whether training blocks the event loop, as it does in real services: nothing else is answered until it ends, but
    between two epochs."""
    training_fails: bool = False
    epochs: int = 1
    preparation_seconds: float = 0.1
    preparation_fails: bool = False
    scale: float = 1.0
    """`/predict` answers each number times this, which tells who answered."""

    def now(self) -> Mode:
        """The mode that holds at this moment."""
        calm = self.flap_seconds > 0 and int(time.monotonic() / self.flap_seconds) % 2
        return "ok" if calm else self.mode


@dataclass
class Seen:
    """What happened. Times are monotonic seconds, which all processes of a machine share."""

    executed: Counter[str] = field(default_factory=Counter)
    """Call id -> how often it was carried out."""
    paths: Counter[str] = field(default_factory=Counter)
    calls: list[dict[str, Any]] = field(default_factory=list)
    """Each request but those for `/health`: its path and id, when it began and ended, and how: `answered` or `left`."""
    in_flight: int = 0
    most_in_flight: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    """Of the newest request that was no health check."""
    body: str = ""
    """Of the newest request for a prediction, forecast or training."""


def control_server(faults: Faults, seen: Seen, port: int) -> ThreadingHTTPServer:
    """The control port: it changes faults and reports what was seen."""

    class Control(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # Copied in one step each: the event loop goes on counting meanwhile.
            copies = {"executed": dict(seen.executed), "paths": dict(seen.paths), "calls": seen.calls.copy()}
            self._send({**vars(seen), **copies})

        def do_POST(self) -> None:
            for name, value in json.loads(self.rfile.read(int(self.headers["Content-Length"]))).items():
                if not hasattr(faults, name):
                    raise AttributeError(name)
                setattr(faults, name, value)
            self._send(asdict(faults))

        def _send(self, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name it has in the base class)
            """Keep quiet."""

    return ThreadingHTTPServer(("127.0.0.1", port), Control)
