"""`model-registry keys`: API keys of the HTTP interface. Connects to PostgREST, as the service does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from model_registry.entities.change import Operation
    from model_registry.snapshot.snapshot import Snapshot
    from model_registry.store.registry import Registry

app = typer.Typer(
    help="Manage API keys. Needs POSTGREST_URL and POSTGREST_KEY, or SUPABASE_URL and its key; "
    "`up` writes them to stack.env.",
    no_args_is_help=True,
)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="The user of the key, shown in the change log.")],
    scope: Annotated[
        list[str],
        typer.Option(
            help="admin (everything), node (report deployments), service (register model services), dispatch (send "
            "requests to models and model services), read. Repeatable."
        ),
    ],
    service: Annotated[
        list[str] | None,
        typer.Option(
            help="Limit the scopes service and dispatch to this model type, service or model. Repeatable; "
            "all by default."
        ),
    ] = None,
) -> None:
    """Create an API key and print it. It is shown this once: only its hash is stored.

    Example: `model-registry keys create gpu-rack-7 --scope node`
    """
    import uuid

    from model_registry.entities.api_key import SCOPES, hash_of, new_secret
    from model_registry.entities.change import Operation

    unknown = [s for s in scope if s not in SCOPES]
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: the scopes are {', '.join(SCOPES)}", param_hint="--scope")
    secret = new_secret()
    row = {"name": name, "key_hash": hash_of(secret), "scopes": list(dict.fromkeys(scope)), "services": service or None}
    asyncio.run(_write([Operation("api_keys", "insert", str(uuid.uuid4()), row)]))
    typer.echo(secret)
    typer.echo("Store the key now: it is not shown again. Services accept it within a second.", err=True)


@app.command("list")
def list_keys() -> None:
    """List all API keys by name, revoked ones included. The secrets are never shown.

    Example: `. .registry/stack.env; model-registry keys list`
    """
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "scopes", "limited to", "created", "revoked")
    for key in asyncio.run(_snapshot()).api_keys:
        limits = ", ".join(key.services) if key.services is not None else ""
        table.add_row(key.name, ", ".join(key.scopes), limits, key.created_at[:19], (key.revoked_at or "")[:19])
    Console().print(table)


@app.command()
def revoke(name: Annotated[str, typer.Argument(help="Name of the key, as shown by `keys list`.")]) -> None:
    """Revoke an API key. Services refuse it within a second.

    Example: `model-registry keys revoke gpu-rack-7`
    """
    from model_registry.entities.change import Operation
    from model_registry.errors import NotFound

    found = [key for key in asyncio.run(_snapshot()).api_keys if key.name == name]
    if not found:
        raise NotFound(f"There is no key {name!r}. `model-registry keys list` shows them all.")
    row = {"revoked_at": datetime.now(UTC).isoformat()}
    asyncio.run(_write([Operation("api_keys", "update", found[0].id, row)]))
    typer.echo(f"revoked {name}")


@asynccontextmanager
async def _registry() -> AsyncIterator[Registry]:
    from model_registry.cli.startup import configure, read_settings
    from model_registry.store.client import connect
    from model_registry.store.registry import Registry

    configure("console", "warning")  # standard output is reserved for the key
    database = await connect(read_settings())
    try:
        registry = Registry(database, origin="command line")
        await registry.refresh()
        yield registry
    finally:
        await database.close()


async def _snapshot() -> Snapshot:
    async with _registry() as registry:
        return registry.snapshot


async def _write(operations: Sequence[Operation]) -> None:
    async with _registry() as registry:
        await registry.write(operations, actor="command line")
