"""The real gateway as a separate program, as in production: reads a file, serves it, and rereads it on SIGHUP.

python gateway_program.py CONFIG PORT PID_FILE [ENV_FILE]. On the port, `GET /status` responds once the gateway has
loaded, `/base` returns its address, and `/loaded` its configuration. The next gateway serves before the previous one
stops, so that no request is lost. The program exits if the gateway refuses the configuration. A dummy credential is
there for every variable that the configuration names; with an environment file only what it says is, as in production.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
import tempfile
import threading
import tomllib
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from model_registry.gateways.tensorzero.reading.file_references import strings
from model_registry.gateways.tensorzero.validation.dummy_credentials import environment, lay_out

_WITH_FILE = 5
"""Arguments, with an environment file."""


@cache
def _credentials() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="credentials-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    lay_out(directory)
    return directory


def _environment(text: str) -> dict[str, str]:
    if len(sys.argv) == _WITH_FILE:
        lines = Path(sys.argv[-1]).read_text("utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)
    return environment(strings(tomllib.loads(text)), _credentials())


class Loaded:
    """One gateway with its configuration."""

    def __init__(self, config: Path) -> None:
        # The current target of the link, which may change before the gateway has read it.
        path = config.resolve()
        self.text = path.read_text("utf-8")
        os.environ.update(_environment(self.text))
        import tensorzero  # noqa: PLC0415 (the environment comes first)

        try:
            self.gateway: Any = tensorzero._start_http_gateway(  # noqa: SLF001 (its client cannot do embeddings)
                config_file=str(path), clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
            )
        except BaseException:  # noqa: BLE001 (on any error the gateway does not run)
            os._exit(1)


def main() -> None:
    """Serve until ended; on SIGHUP, start the next gateway at the same address."""
    config, port, pid_file = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # awaited below, and referenced until then
    os.environ.update({"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"})
    running = [Loaded(config)]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            now = running[-1]
            body = (now.text if self.path == "/loaded" else now.gateway.base_url).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name in the base class)
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pid_file.write_text(str(os.getpid()))
    while True:
        signal.sigwait({signal.SIGHUP})
        running.append(Loaded(config))
        del running[:-2]  # the previous one may still have requests


if __name__ == "__main__":
    main()
