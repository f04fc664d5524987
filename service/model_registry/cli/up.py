"""`model-registry up`: Postgres, PostgREST, NATS and the service on this machine, with nothing to install first."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model_registry.cli.db import PublicReads

if TYPE_CHECKING:
    from collections.abc import Callable

    from model_registry.devstack.embedded import EmbeddedStack
    from model_registry.errors import StackError


class With(StrEnum):
    """What else there may be in the stack."""

    SMG = "smg"


def up(
    data_dir: Annotated[Path, typer.Option(help="Directory for all data; created if missing.")] = Path(".registry"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the service on 127.0.0.1.")] = 8110,
    no_seed: Annotated[bool, typer.Option("--no-seed", help="Start with an empty catalogue.")] = False,
    *,
    gateways: Annotated[
        list[With] | None, typer.Option("--with", help="smg: also start SMG, the gateway before our own nodes.")
    ] = None,
    public_reads: PublicReads = None,
) -> None:
    """Start Postgres, PostgREST, NATS and the service, print their addresses, and run until Ctrl-C.

    A server that dies is restarted at the same address. If one dies five times in a row, everything stops with the
    reason and exit code 3.

    A second start reuses the data. For evaluation and small installations: all servers listen on this machine only. The
    file stack.env in the data directory has the settings for other commands and clients; load it into a shell with
    `. .registry/stack.env`

    API keys of providers that are in this command's environment are taken to be there for the gateway too: it gets the
    providers of the starter catalogue that need them. Their names are noted in the registry, never their values.

    With `--with smg` SMG answers for all models that nodes have loaded. Its gateway `smg` is added to the registry, and
    its list of workers is kept up to date; a provider with route_by `gateway:smg` is reached through it.

    Example: `model-registry up --data-dir /tmp/registry --port 8111 --no-seed`
    """
    from model_registry.cli.startup import configure, read_settings
    from model_registry.devstack.embedded import EmbeddedStack
    from model_registry.devstack.ports import require_free

    settings = read_settings()
    configure("console", settings.log_level if settings.log_level != "info" else "warning")
    if port:
        require_free(port, who="the service", instead="choose another with --port")
    prepare = _preparation(settings.db_schema, public_reads=public_reads, seed=not no_seed)
    with_smg = With.SMG in (gateways or ())
    _run(EmbeddedStack(data_dir, prepare=prepare, schema=settings.db_schema, smg=with_smg, progress=_print), port)
    _print("stopped")


def _print(line: str) -> None:
    # Where standard output is a file on a full disk, nothing can be printed, and everything goes on.
    with suppress(OSError):
        typer.echo(line)


def _preparation(schema: str, *, public_reads: bool | None, seed: bool) -> Callable[[str], None]:
    """Return what a new Postgres needs before the other servers start: tables, roles and seeds."""
    from model_registry.cli.db import say_who_reads
    from model_registry.store import migrations

    def prepare(database_url: str) -> None:
        done = migrations.migrate(database_url, schema, public_reads=public_reads)
        seeded = migrations.seed(database_url, schema) if seed else ()
        changed = f"{len(done.migrations)} migrations applied, {len(done.schema_files)} files of schema/ changed"
        _print(f"schema     {changed}, {len(seeded)} seed files checked")
        say_who_reads(migrations.open_to(database_url, schema))

    return prepare


def _run(stack: EmbeddedStack, port: int) -> None:
    """Run the servers and the service until they are stopped. Errors: StackError, when a server keeps failing."""
    from model_registry.cli.serve import until_stopped

    failed: list[StackError] = []

    def give_up(reason: StackError) -> None:
        failed.append(reason)
        os.kill(os.getpid(), signal.SIGTERM)  # stop the service from any thread

    with until_stopped():
        try:
            stack.start()
            stack.supervise(give_up)
            _run_service(stack, port)
        finally:
            # A second Ctrl-C must not leave a server running.
            for again in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(again, signal.SIG_IGN)
            stack.stop()
    if failed:
        raise failed[0]


def _run_service(stack: EmbeddedStack, port: int) -> None:
    """Run the service on the stack. Once it is ready, write the file of settings and print the addresses."""
    from model_registry.cli.serve import run_service
    from model_registry.cli.stack_keys import report_keys
    from model_registry.cli.startup import read_settings
    from model_registry.cli.up_smg import keep_workers
    from model_registry.devstack.directory import write_environment

    key, file = stack.secret("api_key"), stack.data_dir / "stack.env"
    environment = stack.environment()

    def on_ready(url: str) -> None:
        own = {"MODEL_REGISTRY_URL": url, "MODEL_REGISTRY_API_KEY": key}
        write_environment(file, environment | own | {"POSTGREST_READER_KEY": stack.postgrest.reader_key})
        if stack.smg is not None:
            keep_workers(stack.smg, url, key)
        _print(f"ready      {url}  API key: {key}  (docs: {url}/docs; env: {file})")
        report_keys(url, key, _print)

    own = {
        "SUPABASE_URL": None,  # overrides the shell: this service uses this stack
        "MODEL_REGISTRY_HOST": "127.0.0.1",
        "MODEL_REGISTRY_PORT": port,
        "MODEL_REGISTRY_API_KEY": key,
        "MODEL_REGISTRY_CACHE_DIR": stack.data_dir / "cache",
    }
    run_service(read_settings({**environment, **own}), on_ready)
