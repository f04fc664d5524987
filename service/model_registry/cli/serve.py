"""`model-registry serve`: the service alone, against a running PostgREST or Supabase."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from model_registry.settings import Settings

_SWITCH_SECONDS = 0.0005
_ACCEPTS = 16
"""Connections taken in at each turn of the event loop. uvloop takes one from each socket that it listens on: a caller
behind some hundred connections of somebody busy would wait for as many turns."""


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (MODEL_REGISTRY_HOST).")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on (MODEL_REGISTRY_PORT).")] = None,
    role: Annotated[str | None, typer.Option(help="all, control or dispatch (MODEL_REGISTRY_ROLE).")] = None,
) -> None:
    """Run the service, configured by environment variables: see docs/reference/settings.md.

    Needs POSTGREST_URL with POSTGREST_KEY or POSTGREST_JWT_SECRET, or SUPABASE_URL with SUPABASE_SERVICE_ROLE_KEY.

    Example: `POSTGREST_URL=http://db:3000 POSTGREST_JWT_SECRET=... model-registry serve --host 0.0.0.0`
    """
    import structlog

    from model_registry.cli.startup import configure, read_settings

    overrides = {"MODEL_REGISTRY_HOST": host, "MODEL_REGISTRY_PORT": port, "MODEL_REGISTRY_ROLE": role}
    settings = read_settings({name: value for name, value in overrides.items() if value is not None})
    configure(settings.log_format, settings.log_level)
    log = structlog.get_logger(__name__)
    with until_stopped():
        run_service(settings, lambda url: log.info("ready", url=url, docs=f"{url}/docs"), whole_process=True)


@contextmanager
def until_stopped() -> Iterator[None]:
    """Treat Ctrl-C, SIGTERM or a closed terminal as the normal end of a service, not as a failure."""
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # else it was started with nohup
        signal.signal(signal.SIGHUP, _terminate)
    with suppress(KeyboardInterrupt):
        yield


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    # While it serves, uvicorn has handlers for Ctrl-C and SIGTERM, and for nothing else.
    signal.raise_signal(signal.SIGTERM)


def run_service(
    settings: Settings, on_ready: Callable[[str], None] = lambda _url: None, *, whole_process: bool = False
) -> None:
    """Run the service until it is stopped; running requests are finished first.

    Calls `on_ready` with the URL once it answers. `whole_process`: there is nothing else to stop, so the process ends
    in time even when a part of the service does not. Errors: StorageMisconfigured, StackError (the port is taken).
    """
    gc.disable()  # what an import makes stays: to look through it for garbage takes an eighth of the start
    from model_registry.app import create_app

    gc.enable()
    from model_registry.cli.service_process import end_in_time, give_back_freed_memory

    give_back_freed_memory()
    # The event loop waits up to this long for a computing thread at each turn, and a request takes several turns.
    sys.setswitchinterval(_SWITCH_SECONDS)
    on_stop = (lambda: end_in_time(settings.shutdown_seconds)) if whole_process else (lambda: None)
    run_app(lambda: create_app(settings), settings, on_ready, on_stop)


def run_app(
    make_app: Callable[[], Awaitable[ASGIApp]],
    settings: Settings,
    on_ready: Callable[[str], None] = lambda _url: None,
    on_stop: Callable[[], None] = lambda: None,
) -> None:
    """Serve an application like the service itself; benchmarks serve their peers with it too."""
    from uvicorn.loops.auto import auto_loop_factory

    from model_registry.cli.service_process import AbandonedThreads

    # uvicorn selects the fastest loop only if it starts the loop itself.
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        runner.get_loop().set_default_executor(AbandonedThreads())
        runner.run(_serve(make_app, settings, on_ready, on_stop))


async def _serve(
    make_app: Callable[[], Awaitable[ASGIApp]],
    settings: Settings,
    on_ready: Callable[[str], None],
    on_stop: Callable[[], None],
) -> None:
    import uvicorn

    from model_registry.api.http_protocol import guarded_protocol
    from model_registry.cli.service_process import arrivals_of

    with _listener(settings) as listener:
        app = await make_app()
        config = uvicorn.Config(
            app,
            http=guarded_protocol(arrivals_of(app, settings.most_connections), getattr(app, "dispatch", None)),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=max(1, settings.shutdown_seconds // 2),
            lifespan="on",
        )
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        url = f"http://{host}:{listener.getsockname()[1]}"
        await _server(config, app, lambda: on_ready(url), on_stop).serve(sockets=quick_to_accept(listener))


def _server(
    config: uvicorn.Config, app: ASGIApp, on_ready: Callable[[], None], on_stop: Callable[[], None]
) -> uvicorn.Server:
    """Return uvicorn's server, which reports when it is ready and when it begins to stop."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            # Objects of the start stay. A full collection over 50,000 models stops everything for half a second.
            gc.collect()
            gc.freeze()
            # Collect less often: a batch of events leaves no garbage, and a collection takes as long as the batch.
            gc.set_threshold(20_000, 20, 50)
            if self.started:
                on_ready()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            on_stop()
            super().handle_exit(sig, frame)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # Requests that wait for changes would delay a graceful end until their time is over.
            before_stop = getattr(getattr(app, "state", None), "before_stop", None)
            if before_stop is not None:
                before_stop()
            await super().shutdown(sockets)

    return Server(config)


def quick_to_accept(listener: socket.socket) -> list[socket.socket]:
    """The socket and copies of it, so that many callers who come at once are taken in within few turns of the loop."""
    return [listener, *(listener.dup() for _ in range(_ACCEPTS - 1))]


@contextmanager
def _listener(settings: Settings) -> Iterator[socket.socket]:
    """The listening socket. Errors: StackError."""
    from model_registry.errors import StackError

    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only then; without it a body waits 40 ms behind its header.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            message = (
                f"Port {settings.port} on {settings.host} cannot be used: {error.strerror}. "
                "Stop what listens there, or choose another with --port"
            )
            raise StackError(message) from error
        yield listener
