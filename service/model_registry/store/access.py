"""Who may do what with the registry's tables, views, sequences and functions, by name, after every run of migrations.

Not once, in a migration: where others have set default privileges (on Supabase, for the schema `public`), the roles
that anybody can take get every right on whatever is made, and `public` may call every new function everywhere. Objects
of others in the same schema are left alone: ours are those that the migrations name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import LiteralString

import psycopg

READABLE = (
    *("model_providers", "model_categories", "models", "model_aliases", "functions", "service_model_mappings"),
    *("model_deployments", "gpu_nodes", "config_sections", "config_files"),
)
"""The catalogue. Every other table is the service's alone."""
MIGRATION_TABLES = ("_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock")
"""Who could write them would decide which migrations run: they are their owner's alone."""
ANYBODY = ("anon", "authenticated")
"""Roles that one gets without being given anything: with no key, and by signing up."""
READER = "registry_reader"
"""The role of programs that read the catalogue through PostgREST with a key of their own."""
OPEN_POLICY = "readers"
"""The row policy that lets ANYBODY read: whether it is there is how the choice is kept."""

_KINDS = r"(?:table|view|sequence|function|procedure)"
_MADE = re.compile(
    rf"\bcreate (?:or replace )?(?:unlogged |materialized )?{_KINDS} (?:if not exists )?(\w+)"
    rf"|\balter {_KINDS} [^;]* rename to (\w+)",
    re.IGNORECASE,
)
_WRITES = ("insert", "update", "delete", "truncate", "references", "trigger")

_RELATIONS: LiteralString = """
    select c.relname, c.relkind::text, c.relrowsecurity,
           array(select r.rolname from pg_roles r where r.rolname = any(%(roles)s) and exists (
               select from pg_policy p where p.polrelid = c.oid and p.polcmd in ('r', '*')
               and (p.polroles @> array[r.oid] or p.polroles @> array[0::oid])))
    from pg_class c
    where c.relnamespace = %(schema)s::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S')
      and (c.relname = any(%(names)s) or exists (
          select from pg_depend d join pg_class o on o.oid = d.refobjid
          where d.objid = c.oid and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i') and c.relkind = 'S'
            and o.relnamespace = c.relnamespace and o.relname = any(%(names)s)))
    order by c.relname"""
_FUNCTIONS: LiteralString = """
    select p.oid::regprocedure::text from pg_proc p
    where p.pronamespace = %(schema)s::regnamespace and p.proname = any(%(names)s)
      and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')"""
_MAKE_READER = f"""
do $$
begin
    if not exists (select from pg_roles where rolname = '{READER}') then
        create role {READER} nologin noinherit;
    end if;
    if exists (select from pg_roles where rolname = 'authenticator' and not pg_has_role(oid, '{READER}', 'member')) then
        grant {READER} to authenticator;
    end if;
exception when insufficient_privilege or unique_violation or duplicate_object then
    null; -- an administrator makes it where the owner of the schema may not; or another runner just did
end
$$"""  # noqa: S608 (names of ours)


@dataclass(frozen=True, slots=True)
class _Relation:
    name: str
    kind: str
    guarded: bool
    """Whether row level security is on."""
    lets_read: frozenset[str]
    """The roles that a row policy lets read."""

    @property
    def is_table(self) -> bool:
        return self.kind in ("r", "p")

    @property
    def is_shown(self) -> bool:
        """Whether it is part of the catalogue, which can be opened to readers. All views show no more than that."""
        return self.name in READABLE or self.kind in ("v", "m")


def made_by(migrations: Iterable[str]) -> frozenset[str]:
    """The names of what these texts of migrations make."""
    found = (match for text in migrations for match in _MADE.finditer(text))
    return frozenset(str(match[1] or match[2]).lower() for match in found)


def set_access(connection: psycopg.Connection, schema: str, names: Iterable[str], *, public_reads: bool | None) -> None:
    """Give every object of ours exactly the rights it should have, in one transaction. A second time changes nothing.

    Args:
        connection: as the owner of the objects.
        schema: where they are.
        names: what migrations make.
        public_reads: whether ANYBODY may read the catalogue; None keeps what is.
    """
    connection.execute(_MAKE_READER)
    asked = {"schema": f'"{schema}"', "roles": [*ANYBODY, READER], "names": [*names, *MIGRATION_TABLES]}
    with connection.transaction():
        rows = connection.execute(_RELATIONS, asked).fetchall()
        relations = [_Relation(name, kind, guarded, frozenset(roles)) for name, kind, guarded, roles in rows]
        plan = _Plan(
            schema,
            relations,
            frozenset(row[0] for row in connection.execute("select rolname from pg_roles").fetchall()),
            public_reads,
            # MAINTAIN is of Postgres 17.
            (*_WRITES, "maintain") if connection.info.server_version >= 170000 else _WRITES,  # noqa: PLR2004
        )
        functions = [row[0] for row in connection.execute(_FUNCTIONS, asked).fetchall()]
        statements = [*plan.of_functions(functions), *plan.of_relations(), *plan.policies()]
        if statements:
            connection.execute("; ".join(statements).encode())


def functions_of_others(connection: psycopg.Connection, schema: str, names: Iterable[str]) -> tuple[str, ...]:
    """The functions of others that `public` may call: in a shared schema, migration 0006 takes that from every one."""
    query = """select oid::regprocedure::text from pg_proc
        where pronamespace = %s::regnamespace and not proname = any(%s)
          and has_function_privilege('public', oid, 'execute')"""
    return tuple(row[0] for row in connection.execute(query, [f'"{schema}"', list(names)]).fetchall())


def give_back(connection: psycopg.Connection, signatures: Iterable[str]) -> None:
    """Let `public` call these functions again, if it no longer may."""
    for signature in signatures:
        query = "select has_function_privilege('public', %s::regprocedure, 'execute')"
        if connection.execute(query, [signature]).fetchone() == (False,):
            connection.execute(f"grant execute on routine {signature} to public".encode())


def open_to(connection: psycopg.Connection, schema: str) -> tuple[str, ...]:
    """Which roles of ANYBODY may read something of the catalogue."""
    query = """select role from unnest(%s::text[]) role where exists (
        select from pg_class c
        join pg_policy p on p.polrelid = c.oid and p.polcmd in ('r', '*')
        where c.relnamespace = %s::regnamespace and c.relname = any(%s)
          and (p.polroles @> array[role::regrole::oid] or p.polroles @> array[0::oid])
          and has_any_column_privilege(role, c.oid, 'select'))"""
    rows = connection.execute(query, [list(ANYBODY), f'"{schema}"', list(READABLE)]).fetchall()
    return tuple(row[0] for row in rows)


class _Plan:
    """The statements that bring the rights to where they should be."""

    def __init__(
        self,
        schema: str,
        relations: list[_Relation],
        roles: frozenset[str],
        public_reads: bool | None,  # noqa: FBT001 (as set_access has it)
        writes: tuple[str, ...],
    ) -> None:
        self._schema = schema
        self._relations = relations
        self._takers = [role for role in (*ANYBODY, READER) if role in roles]
        self._service = ["service_role"] if "service_role" in roles else []
        self._public_reads = public_reads
        self._writes = ", ".join(writes)

    def of_functions(self, signatures: list[str]) -> Iterator[str]:
        """Nobody but the service calls them. The signatures are as the server quotes them."""
        for signature in signatures:
            yield f"revoke all on routine {signature} from {_list('public', *self._takers)} cascade"

    def of_relations(self) -> Iterator[str]:
        """Rights on tables, views and sequences."""
        for relation in self._relations:
            what = self._named(relation)
            kept = [role for role in self._takers if self._keeps(relation, role)]
            gone = [role for role in self._takers if role not in kept]
            service = self._service if relation.name in MIGRATION_TABLES else []
            yield f"revoke all on {what} from {_list('public', *gone, *service)} cascade"
            if kept:
                yield f"revoke {self._writes} on {what} from {_list(*kept)} cascade"
            if relation.is_table and not relation.guarded:
                yield f"alter table {what} enable row level security"

    def policies(self) -> Iterator[str]:
        """Who reads the catalogue: two walls, so that a `grant all` in somebody's script opens nothing by itself."""
        if READER in self._takers:
            yield f"grant usage on schema {_quoted(self._schema)} to {READER}"
        for relation in self._relations:
            what = self._named(relation)
            if not relation.is_shown:
                continue
            if READER in self._takers:
                yield f"grant select on {what} to {READER}"
                if relation.is_table and READER not in relation.lets_read:
                    yield f"create policy {READER} on {what} for select to {READER} using (true)"
            if self._public_reads:
                yield f"grant select on {what} to {_list(*ANYBODY)}"
            if relation.is_table and self._public_reads is not None:
                yield f"drop policy if exists {OPEN_POLICY} on {what}"
                if self._public_reads:
                    yield f"create policy {OPEN_POLICY} on {what} for select to {_list(*ANYBODY)} using (true)"

    def _keeps(self, relation: _Relation, role: str) -> bool:
        """Whether a role keeps the `select` that it has. Of a table its row policies decide, of a view those of all."""
        if self._public_reads is False or role == READER or not relation.is_shown:
            return False
        if relation.is_table:
            return role in relation.lets_read
        return any(role in table.lets_read for table in self._relations if table.name in READABLE)

    def _named(self, relation: _Relation) -> str:
        kind = "sequence " if relation.kind == "S" else ""
        return f"{kind}{_quoted(self._schema)}.{_quoted(relation.name)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _list(*roles: str) -> str:
    return ", ".join(roles)  # names of ours, and `public`, which must not be quoted
