-- Triggers. Postgres fires those of one event by name: a_ before a write, m_ what follows from a row, z_ its version and
-- the change log.
--
-- Making a trigger waits for every writer of its table, so only those are made that are missing or another. To see that,
-- they are written as pg_get_triggerdef prints them, in small letters: a test fails for one that is made twice.

do $$
declare
    wanted text[] := array[
        'create trigger m_default_name before insert or update on functions for each row execute function functions_default_name()',
        'create trigger m_create_function before insert or update of service_name, function_name on service_model_mappings for each row execute function service_model_mappings_create_function()',
        'create trigger m_link before insert on model_deployments for each row execute function model_deployments_link()',
        'create trigger m_link_moved before update on model_deployments for each row when (old.model_id is distinct from new.model_id or old.model_given <> new.model_given or old.endpoint is distinct from new.endpoint and (new.endpoint is not null or new.status = ''loaded''::text)) execute function model_deployments_link()',
        'create trigger m_link_inserted after insert on models referencing new table as named_rows for each statement execute function link_deployments()',
        'create trigger m_link_updated after update on models referencing old table as old_rows new table as new_rows for each statement execute function link_deployments_of_updated()',
        'create trigger m_link_deleted after delete on models referencing old table as named_rows for each statement execute function link_deployments()',
        'create trigger m_link_inserted after insert on model_providers referencing new table as moved_rows for each statement execute function link_deployments_at_provider()',
        'create trigger m_link_updated after update on model_providers referencing old table as old_rows new table as new_rows for each statement execute function link_deployments_of_provider()',
        'create trigger m_link_deleted after delete on model_providers referencing old table as moved_rows for each statement execute function link_deployments_at_provider()',
        'create trigger m_link_met after insert on gpu_nodes for each row when (new.endpoint is not null) execute function link_deployments_of_node()',
        'create trigger m_link_moved after update of endpoint on gpu_nodes for each row when (old.endpoint is distinct from new.endpoint) execute function link_deployments_of_node()',
        'create trigger m_named_by_model before insert on model_deployments for each row when (new.announced_model is null or new.provider_type is null) execute function deployment_named_by_model()',
        'create trigger m_left before update on model_deployments for each row when (old.status = ''loaded''::text and (new.status <> ''loaded''::text or new.endpoint is distinct from old.endpoint)) execute function deployment_left()',
        'create trigger m_moved after update of endpoint on gpu_nodes for each row when (old.endpoint is not null and new.endpoint is distinct from old.endpoint and new.announced_endpoint is distinct from old.announced_endpoint) execute function gpu_node_moved()'];
    tracked text;
    definition text;
    found record;
begin
    foreach tracked in array registry_tracked_tables() loop
        wanted := wanted || array[
            format('create trigger a_lock before insert or delete or update on %I for each statement execute function registry_before_write()', tracked),
            format('create trigger a_refuse_truncate before truncate on %I for each statement execute function registry_refuse_truncate()', tracked),
            format('create trigger z_log_insert after insert on %I referencing new table as new_rows for each statement execute function registry_log_insert()', tracked),
            format('create trigger z_log_update after update on %I referencing old table as old_rows new table as new_rows for each statement execute function registry_log_update()', tracked),
            format('create trigger z_log_delete after delete on %I referencing old table as old_rows for each statement execute function registry_log_delete()', tracked),
            format(case tracked
                when 'model_deployments' then 'create trigger z_version before update on %I for each row execute function model_deployments_count_version()'
                -- A statement that writes only what may move without being a change need not ask whether it is one.
                when 'gpu_nodes' then 'create trigger z_version before update of id, node_id, endpoint, announced_endpoint, vram_total_mb, status, lost_at, cordoned, labels, metadata, version, created_at, updated_at on %I for each row execute function registry_count_version()'
                when 'service_instances' then 'create trigger z_version before update of id, service_id, model_service_id, service_url, capabilities, weight, max_concurrent_requests, timeout_seconds, model_version, labels, training_flow, health, status, status_reason, ttl_seconds, registered_by, registered_over, version, created_at, updated_at on %I for each row execute function registry_count_version()'
                else 'create trigger z_version before update on %I for each row execute function registry_count_version()' end, tracked)];
    end loop;

    foreach definition in array wanted loop
        if definition not in (select lower(pg_get_triggerdef(t.oid, true)) from pg_trigger t where not t.tgisinternal) then
            execute 'create or replace' || substr(definition, length('create') + 1);
        end if;
    end loop;
    for found in
        select t.tgname, t.tgrelid::regclass as place, lower(pg_get_triggerdef(t.oid, true)) as definition
        from pg_trigger t
        where not t.tgisinternal and t.tgfoid in (select registry_own_functions())
    loop
        if found.definition <> all (wanted) then
            execute format('drop trigger %I on %s', found.tgname, found.place);
        end if;
    end loop;

    -- What earlier versions had, in databases where nothing says what was made.
    execute 'drop function if exists link_deployments_of_deleted()';
    execute 'drop function if exists registry_insert(text, jsonb)';
    execute 'drop function if exists registry_merge_many_events(jsonb, jsonb, jsonb, integer, timestamptz)';
end
$$;
