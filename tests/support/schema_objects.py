"""All objects of a schema as text that does not depend on the schema's name."""

from __future__ import annotations

from typing import Any

import psycopg

QUERIES = {
    "relations": """
        select c.relname, c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.reloptions,
               c.relreplident, pg_get_userbyid(c.relowner), obj_description(c.oid, 'pg_class')
        from pg_class c
        where c.relnamespace = %(schema)s::regnamespace and c.relkind in ('r', 'v', 'S', 'p', 'm', 'f')""",
    "columns": """
        select c.relname, row_number() over (partition by c.oid order by a.attnum), a.attname,
               format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
               a.attcollation::regcollation, a.attstorage, a.attcompression, a.attoptions, a.attstattarget,
               pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
        from pg_attribute a
        join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'v', 'p', 'm', 'f')
        left join pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
        where c.relnamespace = %(schema)s::regnamespace and a.attnum > 0 and not a.attisdropped""",
    "constraints": """
        select coalesce(nullif(conrelid, 0)::regclass::text, contypid::regtype::text), conname, contype, condeferrable,
               condeferred, convalidated, confupdtype, confdeltype, pg_get_constraintdef(oid),
               obj_description(oid, 'pg_constraint')
        from pg_constraint where connamespace = %(schema)s::regnamespace""",
    "indexes": """
        select i.indrelid::regclass, pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisclustered, i.indisreplident,
               c.reloptions, obj_description(c.oid, 'pg_class')
        from pg_index i join pg_class c on c.oid = i.indexrelid where c.relnamespace = %(schema)s::regnamespace""",
    "types": """
        select typname, typtype, format_type(typbasetype, typtypmod), typnotnull, typdefault,
               obj_description(oid, 'pg_type')
        from pg_type where typnamespace = %(schema)s::regnamespace""",
    "sequences": """
        select sequencename, data_type, start_value, min_value, max_value, increment_by, cycle, cache_size
        from pg_sequences where schemaname = %(schema)s""",
    "functions": """
        select oid::regprocedure, pg_get_functiondef(oid), pg_get_userbyid(proowner), obj_description(oid, 'pg_proc')
        from pg_proc where pronamespace = %(schema)s::regnamespace""",
    "views": """
        select oid::regclass, pg_get_viewdef(oid)
        from pg_class where relnamespace = %(schema)s::regnamespace and relkind in ('v', 'm')""",
    "triggers": """
        select pg_get_triggerdef(t.oid, true), t.tgenabled, obj_description(t.oid, 'pg_trigger')
        from pg_trigger t join pg_class c on c.oid = t.tgrelid
        where c.relnamespace = %(schema)s::regnamespace and not t.tgisinternal""",
    "policies": """
        select tablename, policyname, permissive, (select array_agg(role order by role) from unnest(roles) role), cmd,
               qual, with_check
        from pg_policies where schemaname = %(schema)s""",
    "rights": """
        select held.kind, held.name, coalesce(a.grantee::regrole::text, ''), a.privilege_type, a.is_grantable
        from (
            select 'relation' as kind, oid::regclass::text as name,
                   coalesce(relacl, acldefault(case relkind when 'S' then 's'::"char" else 'r' end, relowner)) as acl
            from pg_class where relnamespace = %(schema)s::regnamespace and relkind in ('r', 'v', 'S', 'p', 'm', 'f')
            union all
            select 'function', oid::regprocedure::text, coalesce(proacl, acldefault('f', proowner))
            from pg_proc where pronamespace = %(schema)s::regnamespace
            union all
            select 'schema', '', coalesce(nspacl, acldefault('n', nspowner))
            from pg_namespace where oid = %(schema)s::regnamespace
            union all
            select 'column', c.oid::regclass || '.' || a.attname, a.attacl
            from pg_attribute a join pg_class c on c.oid = a.attrelid
            where c.relnamespace = %(schema)s::regnamespace and a.attacl is not null
        ) held, aclexplode(held.acl) a""",
    "rules": "select tablename, rulename, definition from pg_rules where schemaname = %(schema)s",
    "statistics": """
        select pg_get_statisticsobjdef(oid) from pg_statistic_ext where stxnamespace = %(schema)s::regnamespace""",
}
"""The compared objects and their queries. Names are unqualified, because the schema is the search path."""


def objects(database_url: str, schema: str) -> dict[str, list[str]]:
    """All objects of a schema by kind, sorted."""
    with psycopg.connect(database_url) as connection:
        connection.execute("select set_config('search_path', %s, false)", [f'"{schema}"'])

        def found(query: str) -> list[Any]:
            return connection.execute(query.encode(), {"schema": schema}).fetchall()

        return {kind: sorted(str(row).replace(schema, "") for row in found(query)) for kind, query in QUERIES.items()}
