"""`model-registry db adopt`: the rows of the original registry become rows of this one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from model_registry.store.adoption import Adopted

_LONGEST = 50
"""Most lines printed of one kind."""


def adopt(
    source: Annotated[
        str | None, typer.Option("--from", help="Schema of the original registry. By default the only one there is.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="File of SQL that fills the original's tables, such as its seed file.")
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would happen, and change nothing.")] = False,
) -> None:
    """Bring over the rows of the original registry in the same database, in one transaction.

    Rows that are here already stay as they are, so that it can be repeated. If the original is in the registry's own
    schema, its tables are moved to another schema first. Exit code 4 if something could not come over.

    Example: `DATABASE_URL=postgresql://postgres@db/postgres model-registry db adopt --dry-run`
    """
    from model_registry.cli.errors import IN_PART
    from model_registry.cli.startup import database_url, read_settings
    from model_registry.imports.sources.fetch import read_text
    from model_registry.store import adoption

    if source and file:
        raise typer.BadParameter("takes a schema of the database, and --file a file: use one", param_hint="--from")
    settings = read_settings()
    where = database_url(settings), settings.db_schema
    if file is not None:
        adopted = adoption.adopt_file(*where, read_text(file), dry_run=dry_run)
    else:
        adopted = adoption.adopt(*where, source, dry_run=dry_run)
    _print(adopted)
    if dry_run:
        typer.echo("Nothing was written.")
    if not adopted.is_complete:
        raise typer.Exit(IN_PART)


def say_not_adopted(missing: dict[str, int]) -> None:
    """Print that the database holds rows of the original registry that are not here."""
    for schema, number in missing.items():
        models = f"{number} model{'' if number == 1 else 's'}"
        typer.echo(
            f"the schema {schema} holds the original registry, with {models} that are not in this one. "
            f"To bring them over: model-registry db adopt --from {schema}"
        )


def _print(adopted: Adopted) -> None:
    plan = adopted.plan
    typer.echo(f"from {adopted.source}:")
    for table, rows in plan.inserts.items():
        there = plan.present.get(table, 0)
        if rows or there:
            typer.echo(f"  {table}: {len(rows)} new{f', {there} here already' if there else ''}")
    if adopted.moved_to:
        typer.echo(f"the original's tables are in the schema {adopted.moved_to}: drop it once nothing is missing")
    _lines("changed on the way", plan.changed)
    _lines("use this registry's tables now", adopted.followed)
    _lines("NOT brought over", plan.left_out)
    _lines("still use the original's tables", adopted.left_behind)
    _lines("failed, as they would in psql", adopted.failed)


def _lines(title: str, lines: Sequence[str]) -> None:
    from model_registry.cli.output import printable

    if lines:
        typer.echo(f"{title} ({len(lines)}):")
    for line in lines[:_LONGEST]:
        typer.echo(f"  {printable(line)}")
    if len(lines) > _LONGEST:
        typer.echo(f"  ... and {len(lines) - _LONGEST} more")
