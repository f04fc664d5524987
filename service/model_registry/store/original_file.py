"""Runs a file of SQL that fills the original registry's tables, such as its seed file, in a schema made for that.

The file is an administrator's own: it is run as `psql -f` would run it, statement by statement, past those that fail.
But all of it is in the caller's transaction: statements that begin or end one are left out.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import sqlparse
from psycopg import sql

# The original's tables and their keys, so that `on conflict` finds what it names.
_TABLES = """
    create table model_providers (
        id uuid primary key default gen_random_uuid(), name text not null unique, type text not null,
        api_base text, api_key_env_var text, description text, metadata jsonb default '{}',
        active boolean default true, created_at timestamptz default now(), updated_at timestamptz default now());
    create table models (
        id uuid primary key default gen_random_uuid(),
        provider_id uuid not null references model_providers on delete cascade, name text not null,
        model_id text not null, model_type text not null, capabilities jsonb default '[]',
        vram_mb integer default 0, context_length integer, description text, metadata jsonb default '{}',
        active boolean default true, created_at timestamptz default now(), updated_at timestamptz default now(),
        unique (provider_id, model_id));
    create table model_aliases (
        id uuid primary key default gen_random_uuid(), model_id uuid not null references models on delete cascade,
        alias text not null, context text, created_at timestamptz default now(), unique (model_id, context));
    create table service_model_mappings (
        id uuid primary key default gen_random_uuid(), service_name text not null, function_name text not null,
        model_id uuid not null references models on delete cascade, variant_name text not null,
        priority integer default 5, weight numeric default 1,
        fallback_model_id uuid references models on delete set null, created_at timestamptz default now(),
        unique (service_name, function_name, variant_name));
    create table model_deployments (
        id uuid primary key default gen_random_uuid(), model_id uuid not null references models on delete cascade,
        node_id text not null, provider_type text, status text, vram_allocated_mb integer,
        loaded_at timestamptz, last_used_at timestamptz, error_message text,
        created_at timestamptz default now());
"""
# What is here already, for statements that look for it.
_PRESENT = """
    insert into model_providers (id, name, type, api_base, api_key_env_var, metadata, active, created_at)
        select id, name, type, api_base, api_key_env_var, metadata, active, created_at from {ours}.model_providers;
    insert into models (id, provider_id, name, model_id, model_type, capabilities, vram_mb, context_length,
                        description, metadata, active, created_at)
        select id, provider_id, name, model_id, model_type, capabilities, vram_mb, context_length,
               description, metadata, active, created_at
        from {ours}.models order by created_at, id on conflict do nothing;
    insert into service_model_mappings (
            id, service_name, function_name, model_id, variant_name, priority, weight, created_at)
        select s.id, service_name, function_name, s.model_id, variant_name, priority, weight, s.created_at
        from {ours}.service_model_mappings s join models m on m.id = s.model_id;
"""
_SCHEMA_OF = re.compile(r'"?(\w+)"?\s*\.\s*"?model_providers\b', re.IGNORECASE)
_CONTROL = re.compile(
    r"\s*(?:begin|start\s+transaction|commit|end|(?P<undoes>rollback|abort|savepoint|release|prepare\s+transaction))\b",
    re.IGNORECASE,
)
"""Statements that would begin or end the caller's transaction."""
_DEFAULT_SCHEMA = "pmoves_core"
_LONGEST_MESSAGE = 300


@contextmanager
def filled_schema(connection: psycopg.Connection, ours: str, text: str) -> Iterator[tuple[str, list[str]]]:
    """Run the file in a new schema; yields the schema's name and what failed. Within the caller's transaction.

    The name of the file's own schema is replaced wherever it stands. Afterwards search_path is as it was for `ours`.
    """
    name = f"adoption_{secrets.token_hex(4)}"
    identifier, home = sql.Identifier(name), sql.Identifier(ours)
    connection.execute(sql.SQL("create schema {}").format(identifier))
    connection.execute(sql.SQL("set local search_path to {}, public").format(identifier))
    connection.execute(_TABLES.encode())
    connection.execute(sql.SQL(_PRESENT).format(ours=home))
    failed = list(_run(connection, text, name))
    connection.execute(sql.SQL("set local search_path to {}").format(home))
    yield name, failed
    connection.execute(sql.SQL("drop schema {} cascade").format(identifier))


def _run(connection: psycopg.Connection, text: str, schema: str) -> Iterator[str]:
    """Run each statement; yields those that failed, by line, with the reason."""
    found = _SCHEMA_OF.search(text)
    theirs = re.compile(rf"\b{re.escape(found[1] if found else _DEFAULT_SCHEMA)}\b")
    line = 1
    for statement in sqlparse.split(text):
        start = text.find(statement, 0)
        line = text.count("\n", 0, start) + 1 if start >= 0 else line
        if control := _CONTROL.match(sqlparse.format(statement, strip_comments=True)):
            if control["undoes"]:
                yield f"the statement at line {line}: {control['undoes'].lower()} is left out; all is one transaction"
            continue
        try:
            with connection.transaction():
                connection.execute(theirs.sub(schema, statement).encode())
        except psycopg.Error as error:
            yield f"the statement at line {line}: {str(error.diag.message_primary or error)[:_LONGEST_MESSAGE]}"
