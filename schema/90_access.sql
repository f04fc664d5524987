-- Who may do what. service_role is the registry service: everything. registry_reader is programs with a key of their own: the
-- catalogue, never keys and never the change log. anon and authenticated, which anybody can be, read the catalogue where
-- somebody asked for it; the row policy `readers` is how that is kept. All else is taken away by name, again and again: on
-- Supabase default privileges give these roles every right on whatever is made in public. What others have in the same
-- schema is left alone.
--
-- Run after every migrate, also after one that failed, so it goes by what is there. The runner (store/schema.py) sets
--   registry.names          what migrations/ and schema/ make
--   registry.runner_tables  those which are their owner's alone: who could write them would decide which migrations run
--   registry.public_reads   on, off, or empty: as it is

do $$
begin
    if not exists (select from pg_roles where rolname = 'registry_reader') then
        execute 'create role registry_reader nologin noinherit';
    end if;
    if exists (select from pg_roles where rolname = 'authenticator' and not pg_has_role(oid, 'registry_reader', 'member')) then
        grant registry_reader to authenticator;
    end if;
exception when insufficient_privilege or unique_violation or duplicate_object then
    null; -- an administrator makes it where the owner of the schema may not; or another runner just did
end
$$;

do $$
declare
    of_the_runner text[] := string_to_array(current_setting('registry.runner_tables'), ' ');
    ours text[] := of_the_runner || string_to_array(current_setting('registry.names'), ' ');
    public_reads boolean := nullif(current_setting('registry.public_reads'), '')::boolean;
    anybody text[] := array(select r.rolname::text from pg_roles r where r.rolname in ('anon', 'authenticated') order by 1);
    takers text[] := anybody || array(select r.rolname::text from pg_roles r where r.rolname = 'registry_reader');
    service text[] := array(select r.rolname::text from pg_roles r where r.rolname = 'service_role');
    -- MAINTAIN is of Postgres 17.
    writes text := 'insert, update, delete, truncate, references, trigger'
        || case when current_setting('server_version_num')::integer >= 170000 then ', maintain' else '' end;
    catalogue text[];
    kept text[];
    thing record;
    wanted record;
begin
    -- In the order of registry_snapshot: a reader that goes through the tables never waits for one behind us.
    if to_regprocedure('registry_tracked_tables()') is not null then
        catalogue := array_remove(registry_tracked_tables(), 'api_keys');
    else -- a migration to this version failed: what is open stays so
        catalogue := array(select tablename::text from pg_policies where schemaname = current_schema() and policyname = 'readers');
    end if;

    if takers || service <> '{}' then
        execute format('grant usage on schema %I to %s', current_schema(), array_to_string(takers || service, ', '));
    end if;

    for thing in
        select p.oid::regprocedure as name from pg_proc p
        where p.pronamespace = current_schema()::regnamespace and p.proname = any (ours)
          and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
    loop
        execute format('revoke all on routine %s from %s cascade', thing.name, array_to_string('public'::text || takers, ', '));
        if service <> '{}' then
            execute format('grant execute on routine %s to service_role', thing.name);
        end if;
    end loop;

    for thing in
        select c.oid, c.relname::text as name, c.relkind in ('r', 'p') as is_table,
               c.relkind in ('r', 'p') and not c.relrowsecurity as is_unguarded,
               case when c.relkind = 'S' then 'sequence ' else '' end || c.oid::regclass as place,
               case when c.relname = any (of_the_runner) then null when c.relkind = 'S' then 'usage'
                    when c.relkind in ('r', 'p') then 'select, insert, update, delete' else 'select' end as for_service,
               c.relname = any (catalogue) or c.relkind in ('v', 'm') as is_shown
        from pg_class c
        where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S')
          and (c.relname = any (ours) or exists (
            select from pg_depend d join pg_class o on o.oid = d.refobjid
            where d.objid = c.oid and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i') and c.relkind = 'S'
              and o.relnamespace = c.relnamespace and o.relname = any (ours)))
        order by array_position(catalogue, c.relname::text), c.relname
    loop
        -- Of a table its row policies decide who keeps the right to read that it has, of a view those of all tables.
        kept := array(
            select r.rolname::text from pg_roles r
            where r.rolname = any (anybody) and thing.is_shown and public_reads is not false and exists (
                select from pg_policy p
                where p.polcmd in ('r', '*') and (p.polroles @> array[r.oid] or p.polroles @> array[0::oid])
                  and case when thing.is_table then p.polrelid = thing.oid else p.polrelid in (
                    select t.oid from pg_class t
                    where t.relnamespace = current_schema()::regnamespace and t.relname = any (catalogue)) end));
        execute format('revoke all on %s from %s cascade', thing.place, array_to_string(
            'public'::text || array(select unnest(takers || service) except select unnest(kept)), ', '));
        if kept <> '{}' then
            execute format('revoke %s on %s from %s cascade', writes, thing.place, array_to_string(kept, ', '));
        end if;
        if service <> '{}' and thing.for_service is not null then
            execute format('grant %s on %s to service_role', thing.for_service, thing.place);
        end if;
        if thing.is_shown and takers <> '{}' and (public_reads or takers <> anybody) then
            execute format('grant select on %s to %s', thing.place, array_to_string(
                case when public_reads then takers else array['registry_reader'] end, ', '));
        end if;
        if thing.is_unguarded then
            execute format('alter table %s enable row level security', thing.place);
        end if;
        continue when not thing.is_table or thing.for_service is null;

        -- Two walls: a `grant all` in somebody's script opens nothing by itself. A policy locks its table against everybody,
        -- readers too, so only what is missing or another is made. `readers` with roles of somebody's choice stays.
        for wanted in
            select w.*, f.policyname is not null as is_there,
                   (f.cmd, f.roles::text[], f.qual) is not distinct from (w.cmd, w.roles, 'true') as is_right
            from (values
                ('service', 'ALL', array['service_role'], 'for all to service_role using (true) with check (true)', true),
                ('registry_reader', 'SELECT', array['registry_reader'], 'for select to registry_reader using (true)', thing.is_shown),
                ('readers', 'SELECT', array['anon', 'authenticated'], 'for select to anon, authenticated using (true)',
                 case when thing.is_shown then public_reads else false end)
            ) w (name, cmd, roles, rule, is_wanted)
            left join pg_policies f on f.schemaname = current_schema() and f.tablename = thing.name and f.policyname = w.name
            where w.is_wanted is not null and w.roles <@ (takers || service)
        loop
            if wanted.is_there and not (wanted.is_wanted and wanted.is_right) then
                execute format('drop policy %I on %s', wanted.name, thing.place);
            end if;
            if wanted.is_wanted and not wanted.is_right then
                execute format('create policy %I on %s %s', wanted.name, thing.place, wanted.rule);
            end if;
        end loop;
    end loop;
end
$$;
