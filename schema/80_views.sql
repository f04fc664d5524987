-- Views, for readers that come through PostgREST or SQL; the service itself answers from its snapshot.
-- security_invoker: the reader's own rights on the tables count, not the owner's.

create or replace view v_active_models with (security_invoker = true) as
select m.id, m.name, m.model_id, m.model_type, m.capabilities, m.vram_mb, m.context_length, m.description,
       m.routing_priority, m.metadata, p.id as provider_id, p.name as provider_name, p.type as provider_type,
       p.api_base, p.api_key_env_var, m.status, m.card,
       (select coalesce(jsonb_agg(jsonb_build_object('alias', a.alias, 'context', a.context) order by a.context, a.alias), '[]')
        from model_aliases a where a.model_id = m.id) as aliases, m.missing_since
from models m
join model_providers p on p.id = m.provider_id
where m.active and p.active and m.status in ('active', 'experimental');
comment on view v_active_models is 'Models that can be asked for: they and their provider are active, and their status offers them.';

create or replace view v_service_models with (security_invoker = true) as
select s.id as mapping_id, s.service_name, s.function_name, s.variant_name, s.priority, s.weight, s.fallback_model_id,
       m.id, m.name, m.name as model_name, m.model_id, m.model_type, m.capabilities, m.vram_mb, m.context_length,
       m.description, m.provider_name, m.provider_type, m.api_base, m.api_key_env_var, f.name as fallback_model_name
from service_model_mappings s
join v_active_models m on m.id = s.model_id
left join models f on f.id = s.fallback_model_id;
comment on view v_service_models is 'Which active models serve which function; order by priority, weight desc, variant_name.';

create or replace view v_active_deployments with (security_invoker = true) as
select d.id, d.node_id, d.provider_type, d.announced_model, d.model_id, m.name as model_name, d.status,
       d.vram_allocated_mb, d.endpoint, d.loaded_at, d.last_used_at, d.event_at,
       coalesce(
           (select jsonb_agg(
                jsonb_build_object(
                    'model_id', l.model_id, 'model_name', l.name, 'model_type', l.model_type, 'provider', p.name)
                order by array_position(d.model_ids, l.id))
            from models l
            join model_providers p on p.id = l.provider_id
            where l.id = any (d.model_ids)),
           jsonb_build_array(jsonb_build_object(
               'model_id', d.announced_model, 'model_name', null, 'model_type', null, 'provider', null))) as models
from model_deployments d
left join models m on m.id = d.model_id
where d.status in ('loading', 'loaded');
comment on view v_active_deployments is 'Deployments that are loaded or on their way, with their link to the catalogue.';
