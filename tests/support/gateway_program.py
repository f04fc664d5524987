"""The real gateway as a program of its own, as it runs in production: reads a file, answers, and reads anew on SIGHUP.

python gateway_program.py CONFIG PORT PID_FILE. `GET /status` on the port answers once the gateway has loaded, and
`GET /base` where it serves; a configuration that it refuses ends it.
"""

from __future__ import annotations

import os
import signal
import sys
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from model_registry.tensorzero.dummy_credentials import environment


class _Again(Exception):
    """Told to read anew."""


def _told(_signal: int, _frame: object) -> None:
    raise _Again


def main() -> None:
    """Serve until told to read anew; then become another process in the same place."""
    config, port, pid_file = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    text = Path(config).read_text("utf-8")
    os.environ.update(environment(tomllib.loads(text), os.devnull) | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"})
    import tensorzero  # noqa: PLC0415 (the environment comes first)

    try:
        gateway: Any = tensorzero._start_http_gateway(  # noqa: SLF001 (its client cannot do embeddings)
            config_file=config, clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
        )
    except BaseException:  # noqa: BLE001 (whatever it is, it does not run)
        os._exit(1)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = gateway.base_url.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name in the base class)
            """Keep quiet."""

    server = HTTPServer(("127.0.0.1", port), Handler)
    signal.signal(signal.SIGHUP, _told)
    pid_file.write_text(str(os.getpid()))
    try:
        server.serve_forever(poll_interval=0.05)
    except _Again:
        server.server_close()
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 (ourselves)


if __name__ == "__main__":
    main()
