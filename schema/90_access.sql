-- Who may do what. service_role is the registry service: everything. anon and authenticated are readers through
-- PostgREST: the catalogue, never keys and never the change log.

do $$
declare
    schema_name text := current_schema();
    private text[] := array['api_keys', 'registry_changes', 'registry_identity', 'rejected_events', 'fleet_watch'];
    guarded text;
    own regprocedure;
begin
    execute format('grant usage on schema %I to anon, authenticated, service_role', schema_name);
    grant usage on sequence registry_revision to service_role;

    for own in select registry_own_functions() loop
        execute format('revoke all on function %s from public, anon, authenticated', own);
        execute format('grant execute on function %s to service_role', own);
    end loop;

    -- Row level security locks a table against everybody: it is not switched on where it is.
    for guarded in select distinct unnest(registry_tracked_tables() || private) loop
        execute format('revoke all on %I from public, anon, authenticated, service_role', guarded);
        execute format('grant select, insert, update, delete on %I to service_role', guarded);
        if not (select relrowsecurity from pg_class where oid = guarded::regclass) then
            execute format('alter table %I enable row level security', guarded);
        end if;
        if not exists (select from pg_policy where polrelid = guarded::regclass and polname = 'service') then
            execute format('create policy service on %I for all to service_role using (true) with check (true)', guarded);
        end if;
        if guarded = any (private) then
            continue;
        end if;
        execute format('grant select on %I to anon, authenticated', guarded);
        if not exists (select from pg_policy where polrelid = guarded::regclass and polname = 'readers') then
            execute format('create policy readers on %I for select to anon, authenticated using (true)', guarded);
        end if;
    end loop;

    foreach guarded in array array['v_active_models', 'v_service_models', 'v_active_deployments'] loop
        execute format('revoke all on %I from public, anon, authenticated, service_role', guarded);
        execute format('grant select on %I to anon, authenticated, service_role', guarded);
    end loop;
end
$$;

notify pgrst, 'reload schema';
