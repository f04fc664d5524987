"""`model-registry db`: the schema and the seeds. Connects to Postgres directly (DATABASE_URL)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from model_registry.cli.adopt import adopt, say_not_adopted

if TYPE_CHECKING:
    from model_registry.store.redaction import Finding

PublicReads = Annotated[
    bool | None,
    typer.Option(
        "--public-reads/--no-public-reads",
        help="Allow or forbid reading the catalogue through PostgREST without a key. The setting is kept until "
        "changed; a new registry forbids it.",
    ),
]

_SECRET_BYTES = 32
"""What PostgREST demands of a secret."""

app = typer.Typer(help="Manage the tables, views and roles of the registry's database.", no_args_is_help=True)
app.command()(adopt)


@app.command()
def migrate(*, public_reads: PublicReads = None) -> None:
    """Migrate the schema to the current version. A second run changes nothing.

    Every run resets the privileges of PostgREST's roles on the registry's tables, views and functions.

    If AUTHENTICATOR_PASSWORD is set, it becomes the password of the role that PostgREST logs in as.

    Example: `DATABASE_URL=postgresql://postgres@db/postgres model-registry db migrate`
    """
    from model_registry.cli.startup import database_url, read_settings
    from model_registry.store import adoption, migrations

    settings = read_settings()
    done = migrations.migrate(database_url(settings), settings.db_schema, public_reads=public_reads)
    for name in done.migrations:
        typer.echo(f"applied {name}")
    if done.schema_files:
        number = len(done.schema_files)
        typer.echo(f"schema: {number} {'file' if number == 1 else 'files'} changed")
    if settings.authenticator_password is not None:
        migrations.set_password(
            database_url(settings), "authenticator", settings.authenticator_password.get_secret_value()
        )
        typer.echo("the role authenticator has its password")
    if not done.migrations and not done.schema_files:
        typer.echo("the schema is up to date")
    say_who_reads(migrations.open_to(database_url(settings), settings.db_schema))
    say_not_adopted(adoption.not_adopted(database_url(settings), settings.db_schema))


def say_who_reads(roles: tuple[str, ...]) -> None:
    """Print a warning while anyone may read through PostgREST without a key, and how to forbid it."""
    if roles:
        typer.echo(
            f"public reads: anyone who reaches PostgREST reads the catalogue without a key (roles {', '.join(roles)}), "
            "including templates and addresses of providers. To forbid it: model-registry db migrate --no-public-reads"
        )


@app.command("reader-key")
def reader_key(
    days: Annotated[
        float | None, typer.Option(min=0.001, help="Days until the key expires. By default it does not expire.")
    ] = None,
) -> None:
    """Print a key for programs that read the catalogue's tables and views directly through PostgREST.

    The key is a JWT for the role registry_reader, which can read the catalogue and nothing else, signed with
    POSTGREST_JWT_SECRET. Programs send it as `Authorization: Bearer <key>`.

    Example: `POSTGREST_JWT_SECRET=... model-registry db reader-key --days 365`
    """
    import time

    import jwt

    from model_registry.cli.startup import read_settings
    from model_registry.errors import StorageMisconfigured
    from model_registry.store.schema import READER

    secret = read_settings().postgrest_jwt_secret
    if secret is None:
        raise StorageMisconfigured("POSTGREST_JWT_SECRET is not set: PostgREST accepts only keys signed with it.")
    if len(secret.get_secret_value().encode()) < _SECRET_BYTES:
        message = f"POSTGREST_JWT_SECRET is shorter than {_SECRET_BYTES} bytes, which PostgREST rejects."
        message += " Set the secret that PostgREST itself has (PGRST_JWT_SECRET)."
        raise StorageMisconfigured(message)
    ends = {} if days is None else {"exp": int(time.time() + days * 86_400)}
    claims = {"role": READER, "iss": "model-registry", **ends}
    typer.echo(jwt.encode(claims, secret.get_secret_value(), algorithm="HS256"))


@app.command()
def seed() -> None:
    """Load the starter catalogue. Existing rows are left unchanged.

    Example: `DATABASE_URL=postgresql://postgres@db/postgres model-registry db seed`
    """
    from model_registry.store import migrations

    for name in migrations.seed(*_database()):
        typer.echo(f"loaded {name}")


@app.command()
def status() -> None:
    """List applied migrations, and files of schema/ changed since. Exit code 1 if any are missing.

    Example: `model-registry db status || model-registry db migrate`
    """
    from model_registry.store import migrations

    found = migrations.status(*_database())
    for name in found.applied:
        typer.echo(f"applied  {name}")
    for name in found.pending:
        typer.echo(f"missing  {name}")
    for name in found.outdated:
        typer.echo(f"outdated schema/{name}")
    if found.pending or found.outdated:
        typer.echo("run: model-registry db migrate", err=True)
        raise typer.Exit(1)


@app.command()
def redact(
    find: Annotated[
        bool, typer.Option("--find", help="List text that looks like a secret. Exit code 1 if there is any.")
    ] = False,
    all_found: Annotated[bool, typer.Option("--all-found", help="Remove everything that --find lists.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Apply the changes. Without it, they are only listed.")] = False,
) -> None:
    """Remove a secret, read from standard input or a prompt, from all rows and from the change log.

    Replaces the secret by its mask, in one transaction; a rollback yields the mask, too. No secret is ever printed.

    Example: `model-registry db redact --yes < secret.txt`
    """
    from model_registry.store import redaction

    if find and (all_found or yes):
        raise typer.BadParameter("only lists findings; omit --all-found and --yes", param_hint="--find")
    url, schema = _database()
    if find or all_found:
        found = redaction.find_secrets(url, schema)
        secrets: Sequence[str] = list(dict.fromkeys(one.secret for one in found))
    else:
        secrets = [_read_secret(redaction.SHORTEST)]
        found = redaction.find_secret(url, schema, secrets[0])
    _list(found)
    if find:
        raise typer.Exit(bool(found))
    if not found:
        return
    if not yes:
        typer.echo("Nothing was changed. Repeat with --yes to remove it everywhere.")
        return
    number = redaction.redact(url, schema, secrets, detected=all_found)
    typer.echo(f"rewritten: {number} rows and log entries")
    typer.echo(_ELSEWHERE, err=True)


def _database() -> tuple[str, str]:
    """The database's URL and the schema. Errors: StorageMisconfigured."""
    from model_registry.cli.startup import database_url, read_settings

    settings = read_settings()
    return database_url(settings), settings.db_schema


_ELSEWHERE = (
    "Revoke and replace the secret: treat it as read by everyone with access to the registry. Copies may remain in "
    "backups of the database and its WAL, in NATS's streams until they expire, in the directories of gateways and in "
    "logs: see docs/how-to/secrets.md."
)


def _read_secret(shortest: int) -> str:
    """Read the secret from standard input, without the final newline; never from arguments, which other users see."""
    if sys.stdin.isatty():
        secret = typer.prompt("Secret to remove", hide_input=True, err=True)
    else:
        secret = sys.stdin.read().rstrip("\r\n")
    if len(secret) < shortest:
        raise typer.BadParameter(
            f"the secret must have at least {shortest} characters: shorter ones also occur in other texts"
        )
    return str(secret)


def _list(found: Sequence[Finding]) -> None:
    from model_registry.cli.output import printable

    for one in found:
        typer.echo(printable(str(one)))
    if not found:
        typer.echo("No secret was found.")
