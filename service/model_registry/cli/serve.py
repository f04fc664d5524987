"""`model-registry serve`: the service alone, against a PostgREST or Supabase that runs already."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from model_registry.settings import Settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (MODEL_REGISTRY_HOST).")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on (MODEL_REGISTRY_PORT).")] = None,
) -> None:
    """Run the service. Everything is set by environment variables: see docs/reference/settings.md.

    Needs POSTGREST_URL with POSTGREST_KEY or POSTGREST_JWT_SECRET, or SUPABASE_URL with SUPABASE_SERVICE_ROLE_KEY.

    Example: `POSTGREST_URL=http://db:3000 POSTGREST_JWT_SECRET=... model-registry serve --host 0.0.0.0`
    """
    import structlog

    from model_registry.cli.logs import configure
    from model_registry.cli.settings import read_settings

    overrides = {"MODEL_REGISTRY_HOST": host, "MODEL_REGISTRY_PORT": port}
    settings = read_settings({name: value for name, value in overrides.items() if value is not None})
    configure(settings.log_format, settings.log_level)
    log = structlog.get_logger(__name__)
    with until_told_to_stop():
        run_service(settings, lambda url: log.info("ready", url=url, docs=f"{url}/docs"))


@contextmanager
def until_told_to_stop() -> Iterator[None]:
    """Being told to stop, by Ctrl-C, SIGTERM or a closed terminal, is how a service ends, and no failure."""
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


def run_service(settings: Settings, on_ready: Callable[[str], None] = lambda _url: None) -> None:
    """Run the service until told to stop; running requests are finished first.

    Calls `on_ready` with the URL once it answers. Errors: StorageMisconfigured, StackError (the port is taken).
    """
    from model_registry.app import create_app
    from model_registry.cli.memory import give_back_freed_memory

    give_back_freed_memory()
    run_app(lambda: create_app(settings), settings, on_ready)


def run_app(
    make_app: Callable[[], Awaitable[ASGIApp]], settings: Settings, on_ready: Callable[[str], None] = lambda _url: None
) -> None:
    """Serve an application the way the service is served: what the benchmarks compare it with is served so too."""
    from uvicorn.loops.auto import auto_loop_factory

    # uvicorn picks the fastest loop there is only where it starts the loop itself.
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        runner.run(_serve(make_app, settings, on_ready))


async def _serve(
    make_app: Callable[[], Awaitable[ASGIApp]], settings: Settings, on_ready: Callable[[str], None]
) -> None:
    import socket

    import uvicorn

    from model_registry.errors import StackError

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            # What is there now stays. A full collection that looks at 50,000 models stops everything for half a second.
            gc.collect()
            gc.freeze()
            # And less often: in a batch of events nothing is garbage, and looking takes as long as all the rest.
            gc.set_threshold(20_000, 20, 50)
            if self.started:
                host = f"[{settings.host}]" if ":" in settings.host else settings.host
                on_ready(f"http://{host}:{listener.getsockname()[1]}")

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # Requests that wait for news would hold a graceful end up until they have waited enough.
            before_stop = getattr(getattr(app, "state", None), "before_stop", None)
            if before_stop is not None:
                before_stop()
            await super().shutdown(sockets)

    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only then; without it a body waits 40 ms behind its header.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        message = (
            f"Port {settings.port} on {settings.host} cannot be used: {error.strerror}. "
            "Stop what listens there, or choose another with --port"
        )
        raise StackError(message) from error
    app = await make_app()
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        lifespan="on",
    )
    try:
        await Server(config).serve(sockets=[listener])
    finally:
        listener.close()
