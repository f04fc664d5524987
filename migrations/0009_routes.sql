-- depends: 0008_model_cards

-- Routes to live deployments: which providers have them, and when a route went away.

alter table model_providers add column route_by text;
alter table model_providers
    add constraint model_providers_route_by_known check (route_by in ('api_base', 'deployments')),
    add constraint model_providers_route_by_fits_type check (
        route_by is distinct from 'deployments'
        or type in ('anthropic', 'openai', 'sglang', 'tgi', 'vllm', 'openai_compatible', 'ollama'));
comment on column model_providers.route_by is 'deployments: where nodes have its models loaded, its api_base last. api_base: always there, whatever nodes say. Null: at its api_base too, and its type says whether nodes have to have its models loaded.';

alter table model_deployments add column left_at timestamptz, add column left_before_at timestamptz;
comment on column model_deployments.left_at is 'When a route to it last went away: it stopped being loaded, or went to another address. By the database''s clock.';
comment on column model_deployments.left_before_at is 'When it had gone away before that. The two tell one that comes and goes, and is held back, from one that went once.';

-- The other columns of a deployment come from one event; these come from what events did to the row.
create function deployment_left() returns trigger
language plpgsql set search_path from current
as $$
declare
    fixed text;
begin
    if new.status = 'loaded' then
        select n.endpoint into fixed from gpu_nodes n where n.node_id = new.node_id;
        if coalesce(old.endpoint, fixed) is null or coalesce(old.endpoint, fixed) = coalesce(new.endpoint, fixed) then
            return new;
        end if;
    end if;
    new.left_before_at := old.left_at;
    new.left_at := now();
    return new;
end
$$;
create trigger m_left before update on model_deployments
    for each row when (old.status = 'loaded' and (new.status <> 'loaded' or new.endpoint is distinct from old.endpoint))
    execute function deployment_left();

revoke execute on function deployment_left() from public;
grant execute on function deployment_left() to service_role;

notify pgrst, 'reload schema';
