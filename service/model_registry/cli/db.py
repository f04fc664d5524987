"""`model-registry db`: the schema and the seeds. Talks to Postgres itself (DATABASE_URL)."""

from __future__ import annotations

import typer

app = typer.Typer(help="Tables, views and roles of the registry's database.", no_args_is_help=True)


@app.command()
def migrate() -> None:
    """Bring the schema up to date. A second run changes nothing.

    With AUTHENTICATOR_PASSWORD set, the role that PostgREST logs in as gets that password.

    Example: `DATABASE_URL=postgresql://postgres@db/postgres model-registry db migrate`
    """
    from model_registry.cli.settings import database_url, read_settings
    from model_registry.store import migrations

    settings = read_settings()
    done = migrations.migrate(database_url(settings), settings.db_schema)
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


@app.command()
def seed() -> None:
    """Load the starter catalogue. What is there already is left as it is.

    Example: `DATABASE_URL=postgresql://postgres@db/postgres model-registry db seed`
    """
    from model_registry.cli.settings import database_url, read_settings
    from model_registry.store import migrations

    settings = read_settings()
    for name in migrations.seed(database_url(settings), settings.db_schema):
        typer.echo(f"loaded {name}")


@app.command()
def status() -> None:
    """Which migrations are applied, and which files of schema/ have changed since. Exit code 1 when any is missing.

    Example: `model-registry db status || model-registry db migrate`
    """
    from model_registry.cli.settings import database_url, read_settings
    from model_registry.store import migrations

    settings = read_settings()
    found = migrations.status(database_url(settings), settings.db_schema)
    for name in found.applied:
        typer.echo(f"applied  {name}")
    for name in found.pending:
        typer.echo(f"missing  {name}")
    for name in found.outdated:
        typer.echo(f"outdated schema/{name}")
    if found.pending or found.outdated:
        typer.echo("run: model-registry db migrate", err=True)
        raise typer.Exit(1)
