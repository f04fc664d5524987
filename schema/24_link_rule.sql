-- Which rows of the catalogue a deployment belongs to. When its links are made is in 25_links.sql.
--
-- A deployment belongs to every row that means the same model at the same server. Its address decides which provider that is;
-- where no provider has this address, its name and type do. A row that the report names itself is never overruled.

-- One spelling ----------------------------------------------------------------------------------------------------------

-- Only ASCII letters change, whatever the collation of the database.
create or replace function model_name_key(name text) returns text
language sql immutable strict parallel safe
as $$
    select regexp_replace(regexp_replace(regexp_replace(lower(name collate "C"),
        '^(https?://)?((registry\.)?ollama\.(ai|com)/)?(library/)?(?=.)', ''),
        '^(www\.)?(huggingface\.co|hf\.co)/(?=.)', 'hf.co/'),
        '(?<=.):latest$', '')
$$;
comment on function model_name_key is 'A model''s name as servers mean it: what has the same key is the same model. As name_key() in entities/model_name.py.';

-- In PL/pgSQL, which keeps its plan: a load of a model asks this.
create or replace function server_address(url text) returns text
language plpgsql immutable strict parallel safe set search_path from current
as $$
declare
    part text[] := regexp_match(url, '^(?:([A-Za-z][A-Za-z0-9+.-]*)://)?(?:[^/?#@]*@)?(\[[0-9A-Fa-f:.]+\]|[^]/?#@:[ ]+)(?::([0-9]{1,5}))?(/[^?#]*)?(?:[?#].*)?$');
    host text := rtrim(lower(part[2] collate "C"), '.');
    port text := ltrim(coalesce(part[3], ''), '0');
begin
    if host = '' then
        return null;
    end if;
    if host ~ '^(localhost|127\.[0-9.]+|0\.0\.0\.0|\[(0{0,4}:){2,7}0{0,3}[01]?\])$' then
        host := 'localhost';
    end if;
    if port = '' then
        port := case when lower(part[1] collate "C") in ('https', 'wss') then '443' else '80' end;
    end if;
    return host || ':' || port || regexp_replace(coalesce(part[4], ''), '(/+v1)?/*$', '');
end
$$;
comment on function server_address is 'host:port/path of a URL in one spelling, without /v1; every name of a loopback is localhost. As server_address() in entities/server_address.py.';

-- An index keeps what its function answered when it was made: another text of the function needs other indexes. The comment
-- of one of them says which text they are of; a test says what to write here.
do $$
declare
    made_of constant text := 'text 204aa954 of model_name_key, server_address';
begin
    if obj_description(to_regclass('model_providers_server_idx'), 'pg_class') is distinct from made_of then
        execute 'drop index if exists models_model_id_key_idx, models_name_key_idx, model_deployments_name_key_idx, model_providers_server_idx';
        execute 'create index models_model_id_key_idx on models (model_name_key(model_id))';
        execute 'create index models_name_key_idx on models (model_name_key(name))';
        execute 'create index model_deployments_name_key_idx on model_deployments (model_name_key(announced_model))';
        execute 'create index model_providers_server_idx on model_providers (split_part(server_address(api_base), ''/'', 1))';
        execute format('comment on index model_providers_server_idx is %L', made_of);
    end if;
end
$$;

-- The rule --------------------------------------------------------------------------------------------------------------

-- How well a row fits what a node says of itself, lower is better, or null: the provider has that type or that name; the model's
-- type has that name (nodes say "tts"); both are servers of OpenAI's protocol, and one of them says no more than that, or both
-- are the same. Hosted offers of the same model never fit, also those of OpenAI's protocol (metadata.location).
create or replace function announced_type_fit(
    announced text, announced_type text, provider_type text, provider_name text, model_type text, location text)
returns integer
language sql immutable parallel safe
as $$
    select case
        when announced = provider_name then 0
        when provider_type = 'openai_compatible' and location = 'hosted' then null
        when announced = provider_type then 0
        when announced = model_type then 1
        when provider_type = 'openai_compatible'
            and announced_type in ('ollama', 'vllm', 'sglang', 'tgi', 'llamacpp', 'lmstudio', 'nim', 'openaicompatible') then 2
        when provider_type in ('ollama', 'vllm', 'sglang', 'tgi')
            and (announced_type = provider_type or announced_type = 'openaicompatible') then 2
    end
$$;
comment on function announced_type_fit is 'How well a row of the catalogue fits the type that a node announces, as it is and as letters alone: 0 is best, null not at all.';

create or replace function letters_of_type(announced text) returns text
language sql immutable parallel safe
as $$ select regexp_replace(lower(announced collate "C"), '[^a-z]', '', 'g') $$;
comment on function letters_of_type is 'llamacpp for llama.cpp and llama_cpp.';

-- The rows that a name means, of each provider (or of those in `at`) the nearest: by the provider's name for it, else in another
-- spelling, else by the catalogue's name. Ollama knows no other spelling.
--
-- One plan for all calls, by indexes: triggers ask this for every deployment that they look at.
create or replace function rows_announced(announced text, of_ollama boolean, at uuid[])
returns table (id uuid, name text, model_type text, routing_priority integer, provider_id uuid, provider_name text,
               provider_type text, location text, offered boolean, routed boolean, exact boolean)
language plpgsql stable set search_path from current
    set plan_cache_mode to force_generic_plan set enable_seqscan to off set enable_hashjoin to off set enable_mergejoin to off
as $$
#variable_conflict use_column
declare
    key text := model_name_key(announced);
begin
    return query
    select n.id, n.name, n.model_type, n.routing_priority, n.provider_id, n.provider_name, n.provider_type, n.location,
           n.offered, n.routed, n.exact
    from (
        select m.id, m.name::text, m.model_type, m.routing_priority, m.provider_id, p.name::text as provider_name,
               p.type as provider_type, p.metadata ->> 'location' as location, m.active and p.active as offered,
               p.route_by = 'deployments' is true as routed, m.model_id = announced as exact, f.distance,
               min(f.distance) over (partition by m.provider_id) as least
        from (
            select a.id, case when a.model_id = announced then 0 else 1 end as distance
            from models a where model_name_key(a.model_id) = key and (at is null or a.provider_id = any (at))
            union all
            select a.id, 2 from models a where model_name_key(a.name) = key and (at is null or a.provider_id = any (at))
        ) f
        join models m on m.id = f.id
        join model_providers p on p.id = m.provider_id
    ) n
    where n.distance = n.least or n.least = 0 and n.distance = 1 and (of_ollama or n.provider_type = 'ollama');
end
$$;
comment on function rows_announced is 'The rows that an announced name means, of each provider those which it means best.';

-- At the server: `places` are its host and port, the surest first, and `path` is what its address has behind them. A provider
-- there decides, whatever its type is. A model that it does not have, and that is of its type, belongs to nobody, except to those
-- which say that they are wherever a node has their models (route_by = deployments). One that is not active takes nothing from others. Of rows
-- that fit equally well, those of a provider that is routed by deployments come first: for the others it makes no difference
-- where a model is loaded. Ties go to the provider's name, so that every order of events ends in the same links.
create or replace function find_announced_models(announced_type text, announced text, places text[], path text) returns uuid[]
language plpgsql stable set search_path from current
    set plan_cache_mode to force_generic_plan set enable_seqscan to off set enable_hashjoin to off set enable_mergejoin to off
as $$
declare
    here uuid[] := array(
        select n.id from (
            select p.id, rank() over (order by
                array_position(places, split_part(server_address(p.api_base), '/', 1)),
                substr(server_address(p.api_base), length(split_part(server_address(p.api_base), '/', 1)) + 1) <> path) as place
            from model_providers p
            where split_part(server_address(p.api_base), '/', 1) = any (places)) n
        where n.place = 1);
    of_ollama boolean := announced_type = 'ollama';
    letters text := letters_of_type(announced_type);
    at_server uuid[] := '{}';
    is_settled boolean;
begin
    if here <> '{}' then
        select coalesce(array_agg(r.id order by r.offered desc, r.exact desc, r.routed desc, r.provider_name,
                                  r.routing_priority, r.name, r.id), '{}'), bool_or(r.offered)
        into at_server, is_settled
        from rows_announced(announced, of_ollama, here) r;
        if is_settled then
            return at_server;
        end if;
    end if;
    return at_server || array(
        with elsewhere as materialized (
            select r.*, announced_type_fit(
                announced_type, letters, r.provider_type, r.provider_name, r.model_type, r.location) as fit
            from rows_announced(announced, of_ollama, null) r
            where r.provider_id <> all (here)
        ), best as (
            select r.provider_id from elsewhere r
            where r.fit is not null
              and (r.routed or not exists (
                select from model_providers p
                where p.id = any (here) and p.active and announced_type_fit(
                    announced_type, letters, p.type, p.name, null, p.metadata ->> 'location') is not null))
            order by r.fit, r.exact desc, r.offered desc, r.routed desc, r.provider_name, r.routing_priority, r.name, r.id
            limit 1
        )
        select r.id from elsewhere r where r.provider_id = (select b.provider_id from best b)
        order by r.fit, r.exact desc, r.offered desc, r.routing_priority, r.name, r.id);
end
$$;
comment on function find_announced_models is 'The rows of the catalogue that a deployment belongs to, best first, by its type, name and address.';

create or replace function find_announced_model(announced_type text, announced text) returns uuid
language sql stable set search_path from current
as $$ select (find_announced_models(announced_type, announced, '{}', ''))[1] $$;
comment on function find_announced_model is 'The row that fits best what a node announces, wherever it is.';

-- A loopback is the node's own: that of the host where the node is reached, or that is called as the node is. So is a provider's
-- address that has the node's name, whatever name or number the node announces.
create or replace function deployment_places(at text, on_node text) returns text[]
language plpgsql stable set search_path from current
as $$
declare
    place text := split_part(at, '/', 1);
    port text := substring(place from ':[0-9]+$');
    named text := lower(on_node collate "C") || port;
begin
    if place not like 'localhost:%' then
        return array[place, named];
    end if;
    return array_remove(array[(
        select regexp_replace(split_part(server_address(n.endpoint), '/', 1), ':[0-9]+$', port) from gpu_nodes n
        where n.node_id = on_node and server_address(n.endpoint) not like 'localhost:%'), named, place], null);
end
$$;
comment on function deployment_places is 'The hosts and ports that a deployment''s address means, the surest first.';

create or replace function models_of_deployment(d model_deployments) returns uuid[]
language plpgsql stable set search_path from current
as $$
begin
    if d.model_given and d.model_id is not null then
        return array(
            select m.id from models g join models m on m.provider_id = g.provider_id and model_name_key(m.model_id) = model_name_key(g.model_id)
            where g.id = d.model_id
            order by m.id <> g.id, m.active desc, m.model_id = g.model_id desc, m.routing_priority, m.name);
    end if;
    return find_announced_models(
        d.provider_type, d.announced_model, case when d.address is null then '{}' else deployment_places(d.address, d.node_id) end,
        coalesce(substr(d.address, length(split_part(d.address, '/', 1)) + 1), ''));
end
$$;
comment on function models_of_deployment is 'The rows of the catalogue that a deployment belongs to, best first.';
