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

-- Triggers run under the write lock, so the deployments that a statement concerns are found by their indexes, and an update
-- that moves nothing a link hangs on looks for none.
create or replace function link_deployments_again(concerned uuid[]) returns void
language plpgsql set search_path from current
as $$
begin
    if concerned <> '{}' then
        update model_deployments d set model_id = find_announced_model(d.provider_type, d.announced_model)
        where d.id = any (concerned);
    end if;
end
$$;
comment on function link_deployments_again is 'Links these deployments to the models of the catalogue that fit them now.';

-- A deployment that nobody knew is linked when its model appears. And what a deleted model leaves without a link (its
-- foreign key does that) may fit another one.
create or replace function link_deployments() returns trigger
language plpgsql set search_path from current
as $$
begin
    perform link_deployments_again(array(
        select d.id from model_deployments d
        where d.model_id is null and d.announced_model = any (array(
            select r.model_id from named_rows r union select r.name from named_rows r))));
    return null;
end
$$;

-- And linked anew when what its link hangs on moves: the names, the type ("tts" is what nodes say of such a model), and
-- the provider.
create or replace function link_deployments_of_updated() returns trigger
language plpgsql set search_path from current
as $$
declare
    moved uuid[];
    names text[];
begin
    select array_agg(m.id), array_agg(m.name::text) || array_agg(m.model_id::text) into moved, names from (
        select id, name, model_id, model_type, provider_id from new_rows
        except select id, name, model_id, model_type, provider_id from old_rows) m;
    if moved is not null then
        perform link_deployments_again(array(
            select u.id from model_deployments u where u.model_id is null and u.announced_model = any (names)
            union all
            select l.id from model_deployments l join models m on m.id = l.model_id
            where l.model_id = any (moved) and l.announced_model not in (m.model_id, m.name)));
    end if;
    return null;
end
$$;

-- A provider whose type or name changed may fit now what it did not fit before, and no longer what it did.
create or replace function link_deployments_of_provider() returns trigger
language plpgsql set search_path from current
as $$
declare
    moved uuid[] := array(select p.id from (select id, type, name from new_rows except select id, type, name from old_rows) p);
begin
    if moved <> '{}' then
        perform link_deployments_again(array(
            select l.id from model_deployments l join models m on m.id = l.model_id where m.provider_id = any (moved)
            union
            select u.id from model_deployments u
            where u.model_id is null and u.announced_model in (
                select m.model_id from models m where m.provider_id = any (moved)
                union select m.name from models m where m.provider_id = any (moved))));
    end if;
    return null;
end
$$;
