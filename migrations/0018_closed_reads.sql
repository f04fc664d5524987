-- depends: 0017_fleet_limits

-- Who comes through PostgREST reads nothing unless somebody asks for it with `db migrate --public-reads`: on Supabase anon is
-- the internet, and authenticated is whoever has signed up. A registry in which nothing was ever written starts closed. One
-- that holds something keeps what it had: programs may depend on it, and `db migrate` says so.
-- Rights on what migrations make are set after each run of them, by name: store/access.py.
do $$
declare
    guarded text;
begin
    if (select is_called from registry_revision) then
        return;
    end if;
    foreach guarded in array array[
        'model_providers', 'model_categories', 'models', 'model_aliases', 'functions', 'service_model_mappings',
        'model_deployments', 'gpu_nodes', 'config_sections', 'config_files']
    loop
        execute format('drop policy if exists readers on %I', guarded);
        execute format('revoke all on %I from anon, authenticated', guarded);
    end loop;
    foreach guarded in array array['v_active_models', 'v_service_models', 'v_active_deployments'] loop
        execute format('revoke all on %I from anon, authenticated', guarded);
    end loop;
end
$$;
