-- depends: 0003_changes

-- A function row gets its gateway name, and a mapping gets its function, without being asked.
create function functions_default_name() returns trigger
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
create trigger m_default_name before insert or update on functions
    for each row execute function functions_default_name();

create function service_model_mappings_create_function() returns trigger
language plpgsql set search_path from current
as $$
begin
    insert into functions (service_name, function_name, name)
    values (new.service_name, new.function_name, null)
    on conflict (service_name, function_name) do nothing;
    return new;
end
$$;
create trigger m_create_function before insert or update of service_name, function_name on service_model_mappings
    for each row execute function service_model_mappings_create_function();

-- The catalogue row that fits what a node announced, or null. Rules, best first: the provider has that type or that
-- name; the model's type has that name (nodes say "tts"); a server that speaks OpenAI's protocol announces itself by
-- its engine. Hosted offers of the same model never fit. Ties go to the provider's name, so that every order of
-- events ends in the same link.
create function find_announced_model(announced_type text, announced text) returns uuid
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
    order by f.fit, (m.model_id = announced) desc, (m.active and p.active) desc, p.name, m.routing_priority, m.name, m.id
    limit 1
$$;

-- A deployment that nobody knew is linked when its model appears, and linked anew when its model is renamed.
create function link_deployments() returns trigger
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
create trigger m_link_inserted after insert on models referencing new table as new_rows
    for each statement execute function link_deployments();
create trigger m_link_updated after update on models referencing new table as new_rows
    for each statement execute function link_deployments();

-- What a deleted model leaves without a link (its foreign key does that) may fit another one.
create function link_deployments_of_deleted() returns trigger
language plpgsql set search_path from current
as $$
begin
    update model_deployments d
    set model_id = find_announced_model(d.provider_type, d.announced_model)
    where d.model_id is null and d.announced_model in (select o.model_id from old_rows o union select o.name from old_rows o);
    return null;
end
$$;
create trigger m_link_deleted after delete on models referencing old table as old_rows
    for each statement execute function link_deployments_of_deleted();

-- A provider whose type or name changed may fit now what it did not fit before, and no longer what it did.
create function link_deployments_of_provider() returns trigger
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
create trigger m_link_updated after update on model_providers referencing old table as old_rows new table as new_rows
    for each statement execute function link_deployments_of_provider();

-- Reading ------------------------------------------------------------------------------------------------------------

create function registry_changes_since(known_revision bigint) returns json
language sql stable set search_path from current
as $$
    select json_build_object(
        'registry_id', (select id from registry_identity),
        'revision', coalesce((select max(revision) from registry_changes), 0),
        'changes', coalesce((
            select json_agg(json_build_object(
                'revision', c.revision, 'at', c.at, 'actor', c.actor, 'origin', c.origin, 'table', c.table_name,
                'row_id', c.row_id, 'operation', c.operation, 'row', c.after) order by c.revision)
            from registry_changes c where c.revision > known_revision), '[]'))
$$;
comment on function registry_changes_since is 'Every change after a revision, in order: what brings a snapshot forward.';

create function registry_snapshot() returns json
language sql stable set search_path from current
as $$
    select json_build_object(
        'registry_id', (select id from registry_identity),
        'revision', coalesce((select max(revision) from registry_changes), 0),
        'tables', json_build_object(
            'model_providers', coalesce((select json_agg(t) from model_providers t), '[]'),
            'models', coalesce((select json_agg(t) from models t), '[]'),
            'model_aliases', coalesce((select json_agg(t) from model_aliases t), '[]'),
            'functions', coalesce((select json_agg(t) from functions t), '[]'),
            'service_model_mappings', coalesce((select json_agg(t) from service_model_mappings t), '[]'),
            'model_deployments', coalesce((select json_agg(t) from model_deployments t), '[]'),
            'gpu_nodes', coalesce((select json_agg(t) from gpu_nodes t), '[]'),
            'config_sections', coalesce((select json_agg(t) from config_sections t), '[]'),
            'config_files', coalesce((select json_agg(t) from config_files t), '[]'),
            'api_keys', coalesce((select json_agg(t) from api_keys t), '[]')))
$$;
comment on function registry_snapshot is 'The whole registry at one revision, in one statement and so of one moment.';

-- Keys are left out: who may read the log need not know of them.
create function registry_change_page(after_revision bigint, only_table text, only_row text, page_size integer) returns json
language sql stable set search_path from current
as $$
    with fitting as (
        select c.* from registry_changes c
        where c.table_name <> 'api_keys'
          and (only_table is null or c.table_name = only_table)
          and (only_row is null or c.row_id::text = only_row)
    ), page as (
        select * from fitting where revision > after_revision order by revision limit page_size
    )
    select json_build_object(
        'items', coalesce((
            select json_agg(json_build_object(
                'revision', p.revision, 'at', p.at, 'actor', p.actor, 'table', p.table_name, 'row_id', p.row_id,
                'operation', p.operation, 'before', p.before, 'after', p.after) order by p.revision)
            from page p), '[]'),
        'count', (select count(*) from fitting),
        'next_after', (select max(p.revision) from page p
                       where exists (select from fitting f where f.revision > (select max(revision) from page))))
$$;
comment on function registry_change_page is 'The change log for people: a page of it, oldest first, without keys.';

-- Writing ------------------------------------------------------------------------------------------------------------

-- One operation: {"table", "action": insert|update|delete, "id", "row", "version"}. Only the keys of "row" are
-- written. A "version" that is not the row's is refused, which guards against lost updates.
create function registry_apply(operation jsonb) returns void
language plpgsql set search_path from current
as $$
declare
    target text := operation ->> 'table';
    target_id uuid := (operation ->> 'id')::uuid;
    expected integer := (operation ->> 'version')::integer;
    content jsonb := coalesce(nullif(operation -> 'row', 'null'), '{}') - array['id', 'version', 'created_at', 'updated_at'];
    columns text;
    actual integer;
begin
    if target not in ('model_providers', 'models', 'model_aliases', 'functions', 'service_model_mappings',
                      'model_deployments', 'gpu_nodes', 'config_sections', 'config_files', 'api_keys') then
        raise exception 'no such table: %', target using errcode = 'MR400';
    end if;
    select string_agg(quote_ident(key), ', ') into columns from jsonb_object_keys(content) key;

    if operation ->> 'action' = 'insert' then
        execute format('insert into %1$I (id, %2$s) select $2, %2$s from jsonb_populate_record(null::%1$I, $1)', target, columns)
            using content, target_id;
        return;
    end if;

    execute format('select version from %I where id = $1', target) into actual using target_id;
    if actual is null then
        raise exception 'no such row in %: %', target, target_id using errcode = 'MR404';
    elsif expected is not null and expected <> actual then
        raise exception 'version % of % is now %', expected, target_id, actual using errcode = 'MR412';
    end if;
    if operation ->> 'action' = 'update' then
        if columns is not null then
            execute format('update %1$I set (%2$s) = row(%3$s) from jsonb_populate_record(null::%1$I, $1) as r where %1$I.id = $2',
                           target, columns, (select string_agg('r.' || quote_ident(key), ', ') from jsonb_object_keys(content) key))
                using content, target_id;
        end if;
    elsif operation ->> 'action' = 'delete' then
        execute format('delete from %I where id = $1', target) using target_id;
    else
        raise exception 'no such action: %', operation ->> 'action' using errcode = 'MR400';
    end if;
end
$$;

-- The one write path: all operations or none, and in the answer everything the writer has not seen yet, so that
-- a write and the look at its result are one round trip.
create function registry_write(operations jsonb, known_revision bigint, actor text default null, origin text default null)
returns json
language plpgsql set search_path from current
as $$
declare
    operation jsonb;
    place bigint;
    failed_state text;
    failed_message text;
    failed_constraint text;
begin
    perform set_config('registry.actor', coalesce(actor, ''), true), set_config('registry.origin', coalesce(origin, ''), true);
    perform registry_lock();
    begin
        for operation, place in select value, ordinality - 1 from jsonb_array_elements(operations) with ordinality loop
            perform registry_apply(operation);
        end loop;
    exception when others then
        -- PostgREST passes no constraint name on, so it travels in the detail.
        get stacked diagnostics failed_state = returned_sqlstate, failed_message = message_text,
            failed_constraint = constraint_name;
        -- Before 18, Postgres had one code for both ends of a foreign key.
        if failed_state = '23503' and operation ->> 'action' = 'delete' then
            failed_state := '23001';
        end if;
        raise exception using errcode = failed_state, message = failed_message, detail = json_build_object(
            'constraint', failed_constraint, 'table', operation ->> 'table', 'operation', place)::text;
    end;
    return registry_changes_since(known_revision);
end
$$;

-- GPU events ---------------------------------------------------------------------------------------------------------

-- Where two events carry the same time, the later stage of a model's life wins: a model is loaded before it is unloaded.
create function deployment_stage(status text) returns integer
language sql immutable parallel safe
as $$ select array_position(array['lost', 'loading', 'loaded', 'error', 'unloaded'], status) $$;

-- And where that is the same too, what is left decides: any total order will do, null and '' told apart.
create function deployment_rest(vram_mb integer, endpoint text, error_message text, loaded_at timestamptz, metadata jsonb) returns jsonb
language sql stable parallel safe
as $$ select jsonb_build_array(vram_mb, endpoint, error_message, extract(epoch from loaded_at), metadata) $$;

-- Takes a batch of events, each {"node_id", "provider_type", "announced_model", "model_id"?, "status",
-- "vram_allocated_mb", "endpoint", "error_message", "loaded_at", "event_at", "metadata"}. Every column of a
-- deployment comes from the one event that wins, so any order and any number of repeats end in the same rows.
create function registry_record_events(events jsonb, known_revision bigint, actor text default null, origin text default null)
returns json
language plpgsql set search_path from current
as $$
begin
    perform set_config('registry.actor', coalesce(actor, ''), true), set_config('registry.origin', coalesce(origin, ''), true);
    perform registry_lock();

    insert into gpu_nodes as n (node_id, last_seen_at)
    select e.node_id, max(e.event_at) from jsonb_to_recordset(events) as e (node_id text, event_at timestamptz) group by e.node_id
    on conflict (node_id) do update set last_seen_at = excluded.last_seen_at
    where n.last_seen_at is null or excluded.last_seen_at > n.last_seen_at;

    insert into model_deployments as d (
        node_id, provider_type, announced_model, model_id, status, vram_allocated_mb, endpoint,
        error_message, loaded_at, event_at, metadata)
    select distinct on (e.node_id, e.provider_type, e.announced_model)
        e.node_id, e.provider_type, e.announced_model,
        coalesce(e.model_id, find_announced_model(e.provider_type, e.announced_model)),
        e.status, e.vram_allocated_mb, e.endpoint, e.error_message,
        since.loaded_at, e.event_at, coalesce(e.metadata, '{}')
    from jsonb_to_recordset(events) as e (
        node_id text, provider_type text, announced_model text, model_id uuid, status text, vram_allocated_mb integer,
        endpoint text, error_message text, loaded_at timestamptz, event_at timestamptz, metadata jsonb)
    cross join lateral (select case when e.status = 'loaded' then coalesce(e.loaded_at, e.event_at) end as loaded_at) as since
    order by e.node_id, e.provider_type, e.announced_model, e.event_at desc, deployment_stage(e.status) desc,
        deployment_rest(e.vram_allocated_mb, e.endpoint, e.error_message, since.loaded_at, coalesce(e.metadata, '{}')) desc
    on conflict (node_id, provider_type, announced_model) do update set
        model_id = excluded.model_id, status = excluded.status, vram_allocated_mb = excluded.vram_allocated_mb,
        endpoint = excluded.endpoint, error_message = excluded.error_message, loaded_at = excluded.loaded_at,
        event_at = excluded.event_at, metadata = excluded.metadata
    where (d.event_at, deployment_stage(d.status),
           deployment_rest(d.vram_allocated_mb, d.endpoint, d.error_message, d.loaded_at, d.metadata))
        < (excluded.event_at, deployment_stage(excluded.status),
           deployment_rest(excluded.vram_allocated_mb, excluded.endpoint, excluded.error_message, excluded.loaded_at, excluded.metadata));

    return registry_changes_since(known_revision);
end
$$;
