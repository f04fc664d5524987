-- Who may do what. service_role is the registry service: everything. anon and authenticated are readers through
-- PostgREST: the catalogue, never keys and never the change log. Whatever else a platform gives them by default is taken
-- away by name: Supabase's default privileges are all there are, on everything that is made.

do $$
declare
    readable text[] := array_remove(registry_tracked_tables(), 'api_keys');
    guarded text[] := readable || array['api_keys', 'registry_changes', 'registry_identity', 'rejected_events', 'fleet_watch'];
    of_the_runner text[] := array['schema_files', '_yoyo_log', '_yoyo_migration', '_yoyo_version', 'yoyo_lock'];
    views text[] := array['v_active_models', 'v_service_models', 'v_active_deployments'];
    name text;
    policy record;
begin
    execute format('grant usage on schema %I to anon, authenticated, service_role', current_schema());
    for name in select registry_own_functions() loop
        execute format('revoke all on function %s from public, anon, authenticated', name);
        execute format('grant execute on function %s to service_role', name);
    end loop;
    revoke all on sequence registry_revision, rejected_events_id_seq from public, anon, authenticated, service_role;
    grant usage on sequence registry_revision to service_role;

    foreach name in array guarded || of_the_runner || views loop
        execute format('revoke all on %I from public, anon, authenticated, service_role', name);
    end loop;
    foreach name in array readable || views loop
        execute format('grant select on %I to anon, authenticated, service_role', name);
    end loop;
    foreach name in array guarded loop
        execute format('grant select, insert, update, delete on %I to service_role', name);
    end loop;

    -- Row level security and policies lock a table against everybody, readers too: made is what is missing or another.
    for name in select relname from pg_class where oid = any (guarded::regclass[]) and not relrowsecurity loop
        execute format('alter table %I enable row level security', name);
    end loop;
    for policy in
        select coalesce(wanted.on_table, found.tablename) as on_table, coalesce(wanted.name, found.policyname) as name,
               wanted.rule, found.policyname is not null as is_there
        from (
            select t as on_table, 'service' as name, 'ALL' as cmd, array['service_role'] as roles,
                   'for all to service_role using (true) with check (true)' as rule
            from unnest(guarded) t
            union all
            select t, 'readers', 'SELECT', array['anon', 'authenticated'], 'for select to anon, authenticated using (true)'
            from unnest(readable) t
        ) wanted
        full join (
            select tablename::text, policyname::text, cmd, roles::text[] from pg_policies
            where schemaname = current_schema() and tablename = any (guarded) and policyname in ('service', 'readers')
        ) found on found.tablename = wanted.on_table and found.policyname = wanted.name
        where (found.cmd, found.roles) is distinct from (wanted.cmd, wanted.roles)
    loop
        if policy.is_there then
            execute format('drop policy %I on %I', policy.name, policy.on_table);
        end if;
        if policy.rule is not null then
            execute format('create policy %I on %I %s', policy.name, policy.on_table, policy.rule);
        end if;
    end loop;
end
$$;

notify pgrst, 'reload schema';
