-- What the other files of schema/ go by: which tables are tracked, and which functions are the registry's own.
-- The runner (store/schema.py) applies all files in the order of their names, in one transaction, with search_path set.

-- A table on this list has the change log's triggers (85), row level security and grants (90), and can be written (50).
-- The snapshot (30) holds them in this order. A new one is also added to SPECS in snapshot/table_specs.py; a test compares the two.
create or replace function registry_tracked_tables() returns text[]
language sql immutable parallel safe
as $$
    select array[
        'model_providers', 'model_categories', 'models', 'model_aliases', 'functions', 'service_model_mappings',
        'model_deployments', 'gpu_nodes', 'model_services', 'service_instances', 'model_sources', 'source_answers',
        'gateways', 'config_sections', 'config_files', 'api_keys']
$$;
comment on function registry_tracked_tables is 'The tables whose changes are in the change log.';

-- Not deployments, nodes and keys, which are facts about the world outside.
create or replace function registry_configuration_tables() returns text[]
language sql immutable parallel safe
as $$ select array['gateways', 'model_providers', 'models', 'model_aliases', 'functions', 'service_model_mappings', 'config_sections', 'config_files'] $$;
comment on function registry_configuration_tables is 'The tracked tables that a rollback brings back.';

-- There may be functions of others, in a schema such as public: they keep their triggers and their rights.
create or replace function registry_own_functions() returns setof regprocedure
language sql stable set search_path from current
as $$
    select oid::regprocedure from pg_proc
    where pronamespace = current_schema()::regnamespace and xmin = pg_current_xact_id_if_assigned()::xid
$$;
comment on function registry_own_functions is 'The functions that this transaction made: those of schema/, while it is applied.';
