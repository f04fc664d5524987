-- What programs of the original registry (the schema pmoves_core) find under its names. They go to PostgREST with the
-- service's key. Its tables and views are ours, with more columns; what only it had is here.

create or replace function get_model_by_alias(p_alias text, p_context text default null)
returns table (model_id uuid, model_name text, provider_name text, api_base text)
language sql stable set search_path from current
as $$
    select m.id, m.name::text, m.provider_name::text, m.api_base
    from model_aliases a
    join v_active_models m on m.id = a.model_id
    where a.alias = p_alias and (p_context is null or a.context = p_context)
    order by a.context is null desc, a.context = 'default' desc, a.context
    limit 1
$$;
comment on function get_model_by_alias is 'The model with this alias. Without a context: the alias without one first, then that of the context default, then any.';

create or replace function get_service_models(p_service_name text, p_function_name text default null)
returns table (model_id uuid, model_name text, variant_name text, priority integer, weight numeric, fallback_model_id uuid)
language sql stable set search_path from current
as $$
    select s.id, s.model_name::text, s.variant_name::text, s.priority, s.weight::numeric, s.fallback_model_id
    from v_service_models s
    where s.service_name = p_service_name and (p_function_name is null or s.function_name = p_function_name)
    order by s.priority, s.weight desc, s.variant_name
$$;
comment on function get_service_models is 'The active models of a service, in the order in which they are to be tried.';

-- The original's deployments name a row of models, and not what the node announced. Its orchestrators look for a deployment
-- of that row and insert one where there is none; ours may have it from the node itself, linked to another row.
create or replace function deployment_named_by_model() returns trigger
language plpgsql set search_path from current
as $$
begin
    select coalesce(new.provider_type, p.type), coalesce(new.announced_model, m.model_id)
    into new.provider_type, new.announced_model
    from models m join model_providers p on p.id = m.provider_id
    where m.id = new.model_id;
    if not found then
        return new;  -- a constraint says what is wrong with it
    end if;
    insert into gpu_nodes (node_id) values (new.node_id) on conflict (node_id) do nothing;
    update model_deployments set
        model_id = new.model_id, status = new.status, vram_allocated_mb = new.vram_allocated_mb, endpoint = new.endpoint,
        loaded_at = new.loaded_at, last_used_at = new.last_used_at, error_message = new.error_message, event_at = new.event_at
    where node_id = new.node_id and provider_type = new.provider_type and announced_model = new.announced_model;
    return case when found then null else new end;
end
$$;
comment on function deployment_named_by_model is 'Gives a deployment that names a row of models the rest of its key; one that is there already is updated instead.';
