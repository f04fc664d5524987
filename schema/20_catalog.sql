-- What follows from a row of the catalogue: names and functions that are not asked for, and the links of deployments.

-- A function row gets its gateway name, and a mapping gets its function, without being asked.
create or replace function functions_default_name() returns trigger
language plpgsql set search_path from current
as $$
begin
    if new.name is null then
        new.name := case new.service_name when 'tensorzero' then new.function_name
                    else new.service_name || '_' || new.function_name end;
    end if;
    return new;
end
$$;

create or replace function service_model_mappings_create_function() returns trigger
language plpgsql set search_path from current
as $$
begin
    insert into functions (service_name, function_name, name)
    values (new.service_name, new.function_name, null)
    on conflict (service_name, function_name) do nothing;
    return new;
end
$$;

-- Links of deployments ------------------------------------------------------------------------------------------------

-- The catalogue row that fits what a node announced, or null. Rules, best first: the provider has that type or that
-- name; the model's type has that name (nodes say "tts"); a server that speaks OpenAI's protocol announces itself by
-- its engine. Hosted offers of the same model never fit. Of rows that fit equally well, that of a provider which is
-- routed by deployments comes first: for the others it makes no difference where a model is loaded. Ties go to the
-- provider's name, so that every order of events ends in the same link.
create or replace function find_announced_model(announced_type text, announced text) returns uuid
language sql stable set search_path from current
as $$
    select m.id
    from models m
    join model_providers p on p.id = m.provider_id
    cross join lateral (
        select case
            when p.type = announced_type or p.name = announced_type then 0
            when m.model_type = announced_type then 1
            when p.type = 'openai_compatible' and announced_type in ('vllm', 'sglang', 'tgi', 'llamacpp', 'nim', 'lmstudio') then 2
        end as fit
    ) as f
    where f.fit is not null
      and (m.model_id = announced or m.name = announced)
    order by f.fit, (m.model_id = announced) desc, (m.active and p.active) desc, (p.route_by = 'deployments') is true desc,
             p.name, m.routing_priority, m.name, m.id
    limit 1
$$;

-- A deployment that nobody knew is linked when its model appears, and linked anew when its model is renamed.
create or replace function link_deployments() returns trigger
language plpgsql set search_path from current
as $$
begin
    update model_deployments d
    set model_id = find_announced_model(d.provider_type, d.announced_model)
    where (d.model_id is null and d.announced_model in (select n.model_id from new_rows n union select n.name from new_rows n))
       or d.model_id in (
            select n.id from new_rows n where d.announced_model not in (n.model_id, n.name));
    return null;
end
$$;

-- What a deleted model leaves without a link (its foreign key does that) may fit another one.
create or replace function link_deployments_of_deleted() returns trigger
language plpgsql set search_path from current
as $$
begin
    update model_deployments d
    set model_id = find_announced_model(d.provider_type, d.announced_model)
    where d.model_id is null and d.announced_model in (select o.model_id from old_rows o union select o.name from old_rows o);
    return null;
end
$$;

-- A provider whose type or name changed may fit now what it did not fit before, and no longer what it did.
create or replace function link_deployments_of_provider() returns trigger
language plpgsql set search_path from current
as $$
begin
    update model_deployments d
    set model_id = find_announced_model(d.provider_type, d.announced_model)
    where exists (
        select from new_rows n join old_rows o on o.id = n.id join models m on m.provider_id = n.id
        where (n.type, n.name) <> (o.type, o.name)
          and (d.model_id = m.id or (d.model_id is null and d.announced_model in (m.model_id, m.name))));
    return null;
end
$$;
