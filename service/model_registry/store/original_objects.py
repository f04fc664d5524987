"""Where the original registry's tables are; and how they make room for ours, which have the same names.

Objects of others that use them (foreign keys, views) would go on with the tables that were moved: they are pointed at
ours.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row, scalar_row

from model_registry.errors import OriginalRegistry, StorageMisconfigured
from model_registry.store.original_rows import COLUMNS

_RELATIONS = (*COLUMNS, "v_active_models", "v_service_models", "v_active_deployments")
_FUNCTIONS = ("get_model_by_alias", "get_service_models")
_LONGEST_SCHEMA = 63

# Ours has a version on every row. All are tables: who reads a view runs its functions with their own rights.
_ORIGINALS = """
    select n.nspname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relname = 'model_providers' and c.relkind in ('r', 'p') and has_schema_privilege(n.oid, 'usage')
      and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'api_key_env_var')
      and not exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'version')
      and exists (select from pg_attribute a join pg_class m on m.oid = a.attrelid
                  where m.relnamespace = n.oid and m.relname = 'models' and a.attname = 'provider_id')
      and not exists (select from pg_class o
                      where o.relnamespace = n.oid and o.relname = any (%s) and o.relkind not in ('r', 'p'))
    order by 1
"""
_THINGS = """
    select case relkind when 'v' then 'view' else 'table' end, oid::regclass::text from pg_class
    where relnamespace = %(schema)s::regnamespace and relname = any (%(relations)s) and relkind in ('r', 'p', 'v')
    union all
    select 'function', oid::regprocedure::text from pg_proc
    where pronamespace = %(schema)s::regnamespace and proname = any (%(functions)s)
"""
_FOREIGN_KEYS = """
    select c.conname as name, c.conrelid::regclass::text as place, pg_get_constraintdef(c.oid) as definition
    from pg_constraint c join pg_class t on t.oid = c.confrelid join pg_class f on f.oid = c.conrelid
    where c.contype = 'f' and t.relnamespace = %(aside)s::regnamespace and f.relnamespace <> t.relnamespace
    order by 2, 1
"""
_VIEWS = """
    select distinct v.oid, v.oid::regclass::text as place, pg_get_viewdef(v.oid) as definition, v.reloptions as options,
        v.relowner::regrole::text as owner,
        obj_description(v.oid) as comment,
        array(select format('grant %%s on %%s to %%s', a.privilege_type, v.oid::regclass,
                            case a.grantee when 0 then 'public' else a.grantee::regrole::text end)
              from aclexplode(v.relacl) a where a.grantee <> v.relowner) as grants
    from pg_depend d join pg_rewrite r on r.oid = d.objid join pg_class v on v.oid = r.ev_class
        join pg_class t on t.oid = d.refobjid
    where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass and v.relkind in ('v', 'm')
      and t.relnamespace = %(aside)s::regnamespace and v.relnamespace <> t.relnamespace
    order by 2
"""


def original_schemas(connection: psycopg.Connection) -> list[str]:
    """The schemas that hold tables of the original."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(_ORIGINALS.encode(), [list(COLUMNS)]).fetchall()


def refuse_original(connection: psycopg.Connection, schema: str) -> None:
    """Raise OriginalRegistry when the original's tables are where ours would be."""
    if schema in original_schemas(connection):
        message = (
            f"The schema {schema} holds the tables of the original registry, and nothing was changed. Bring its rows "
            "over with `model-registry db adopt` (first with --dry-run; it moves the original's tables to the schema "
            f"{aside(schema)}), or set MODEL_REGISTRY_SCHEMA to another schema."
        )
        raise OriginalRegistry(message)


def aside(schema: str) -> str:
    """The schema that the original's tables are moved to."""
    return f"{schema[: _LONGEST_SCHEMA - len('_original')]}_original"


def move_aside(connection: psycopg.Connection, schema: str) -> str:
    """Move the original's tables, views and functions to a schema of their own, in one transaction. Return its name."""
    to = aside(schema)
    with connection.transaction():
        if connection.execute("select from pg_namespace where nspname = %s", [to]).fetchone() is not None:
            raise StorageMisconfigured(f"The schema {to} is there already: rename or drop it, then adopt again.")
        connection.execute(sql.SQL("create schema {}").format(sql.Identifier(to)))
        values = {"schema": schema, "relations": list(_RELATIONS), "functions": list(_FUNCTIONS)}
        with connection.transaction():
            connection.execute("set local search_path to ''")  # so that names are printed whole
            things = connection.execute(_THINGS.encode(), values).fetchall()
            for kind, name in things:
                connection.execute(f'alter {kind} {name} set schema "{to}"'.encode())
    return to


def make_followers(connection: psycopg.Connection, schema: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Point foreign keys and views of others at our tables. Return those that follow, and those that cannot, with why.

    Within the caller's transaction: what cannot follow stays as it was.
    """
    followed: list[str] = []
    left_behind: list[str] = []
    connection.execute("set local search_path to ''")
    with connection.cursor(row_factory=dict_row) as cursor:
        values = {"aside": aside(schema)}
        keys = cursor.execute(_FOREIGN_KEYS.encode(), values).fetchall()
        views = cursor.execute(_VIEWS.encode(), values).fetchall()
    changes = [(f"the foreign key {key['name']} of {key['place']}", _key_again(key, schema)) for key in keys]
    changes += [(f"the view {view['place']}", _view_again(view, schema)) for view in views]
    for what, statements in changes:
        try:
            with connection.transaction():
                for statement in statements:
                    connection.execute(statement.encode())
            followed.append(what)
        except psycopg.Error as error:
            left_behind.append(f"{what}: {error.diag.message_primary}")
    return tuple(followed), tuple(left_behind)


def _key_again(key: dict[str, Any], schema: str) -> list[str]:
    name = key["name"].replace('"', '""')
    return [
        f'alter table {key["place"]} drop constraint "{name}"',
        f'alter table {key["place"]} add constraint "{name}" {_of_ours(key["definition"], schema)}',
    ]


def _view_again(view: dict[str, Any], schema: str) -> list[str]:
    options = f" with ({', '.join(view['options'])})" if view["options"] else ""
    made = f"create view {view['place']}{options} as {_of_ours(view['definition'], schema)}"
    owned = f"alter view {view['place']} owner to {view['owner']}"  # whose rights it reads with
    comment = (view["comment"] or "").replace("'", "''")
    commented = f"comment on view {view['place']} is '{comment}'"
    return [f"drop view {view['place']}", made, owned, commented, *view["grants"]]


def _of_ours(definition: str, schema: str) -> str:
    """The same text with our tables."""
    for name in (f"{aside(schema)}.", f'"{aside(schema)}".'):
        definition = definition.replace(name, f'"{schema}".')
    return definition
