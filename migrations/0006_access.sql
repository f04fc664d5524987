-- depends: 0005_views

-- service_role is the registry service: everything. anon and authenticated are readers through PostgREST:
-- the catalogue, never keys and never the change log.
do $$
declare
    schema_name text := current_schema();
    guarded text;
begin
    execute format('grant usage on schema %I to anon, authenticated, service_role', schema_name);
    execute format('grant usage on all sequences in schema %I to service_role', schema_name);
    execute format('revoke execute on all functions in schema %I from public', schema_name);
    execute format('grant execute on all functions in schema %I to service_role', schema_name);

    foreach guarded in array array[
        'model_providers', 'models', 'model_aliases', 'functions', 'service_model_mappings',
        'model_deployments', 'gpu_nodes', 'config_sections', 'config_files']
    loop
        execute format('alter table %I enable row level security', guarded);
        execute format('grant select on %I to anon, authenticated', guarded);
        execute format('grant select, insert, update, delete on %I to service_role', guarded);
        execute format('create policy readers on %I for select to anon, authenticated using (true)', guarded);
        execute format('create policy service on %I for all to service_role using (true) with check (true)', guarded);
    end loop;

    foreach guarded in array array['api_keys', 'registry_changes', 'registry_identity'] loop
        execute format('alter table %I enable row level security', guarded);
        execute format('grant select, insert, update, delete on %I to service_role', guarded);
        execute format('create policy service on %I for all to service_role using (true) with check (true)', guarded);
    end loop;

    foreach guarded in array array['v_active_models', 'v_service_models', 'v_active_deployments'] loop
        execute format('grant select on %I to anon, authenticated, service_role', guarded);
    end loop;
end
$$;

notify pgrst, 'reload schema';
