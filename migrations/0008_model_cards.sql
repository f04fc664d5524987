-- depends: 0007_history

-- What applications choose models by: a status, and a card of facts. Most models have few of them, so they are one
-- column; what each field means, and its unit, is in entities/model_card.py and in the JSON Schema that is served.

alter table models add column status text not null default 'active';
alter table models add column card jsonb not null default '{}';
alter table models add column field_sources jsonb not null default '{}';
alter table models add constraint models_status_known check (
    status in ('active', 'experimental', 'deprecated', 'disabled', 'maintenance'));
alter table models add constraint models_card_is_object check (jsonb_typeof(card) = 'object');
alter table models add constraint models_card_numbers_not_negative check (
    not jsonb_path_exists(card, '$.* ? (@.type() == "number" && @ < 0)'));
alter table models add constraint models_card_quality_in_range check (
    not jsonb_path_exists(card, '$.quality_scores.* ? (@ < 0 || @ > 1)'));
alter table models add constraint models_card_latencies_in_order check (
    not jsonb_path_exists(card, '$ ? (@.latency_p50_ms > @.latency_p99_ms)'));
alter table models add constraint models_card_memory_in_order check (
    not jsonb_path_exists(card, '$.requirements ? (@.min_vram_gb > @.recommended_vram_gb)'));
alter table models add constraint models_field_sources_are_strings check (
    jsonb_typeof(field_sources) = 'object' and not jsonb_path_exists(field_sources, '$.* ? (@.type() != "string")'));
comment on column models.status is 'Whether the model should be chosen: active and experimental ones are offered. What the gateway serves is decided by active alone.';
comment on column models.card is 'Facts to choose by: prices, limits, latency, quality, requirements, defaults. Only fields that are known are there.';
comment on column models.field_sources is 'Field -> the importer that filled it, or hand for one that was emptied by hand. A field that is set and not named here was set by hand.';

create table model_categories (
    id uuid primary key default gen_random_uuid(),
    key registry_key not null,
    name text not null,
    description text not null default '',
    icon text,
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint model_categories_key_key unique (key),
    constraint model_categories_name_is_printable check (name <> '' and name !~ '[[:cntrl:]]' and char_length(name) <= 200)
);
comment on table model_categories is 'What kinds of models there are, for people who browse the catalogue.';

create function registry_add_default_categories() returns void
language sql volatile set search_path from current
as $$
    insert into model_categories (key, name, description, icon)
    values
        ('text-llm', 'Language models', 'Text in, text out: chat, completion, code.', '✍️'),
        ('vision-vlm', 'Vision-language models', 'Images and text in, text out.', '🎨'),
        ('embedding', 'Embedding models', 'Text in, a vector out: search, clustering.', '🧭'),
        ('reranker', 'Rerankers', 'Order what a search found.', '📊'),
        ('text-to-speech', 'Speech synthesis', 'Text in, speech out.', '🔊'),
        ('speech-to-text', 'Transcription', 'Speech in, text out.', '🎙️'),
        ('image-generation', 'Image generation', 'Text in, images out.', '🖼️')
    on conflict (key) do nothing
$$;
comment on function registry_add_default_categories is 'The categories that every registry starts with. Nothing happens to those that are there.';
-- Before its triggers: what every registry starts with is no change.
do $$ begin perform registry_add_default_categories(); end $$;

do $$
begin
    create trigger a_lock before insert or update or delete on model_categories for each statement execute function registry_before_write();
    create trigger z_version before update on model_categories for each row execute function registry_count_version();
    create trigger z_log_insert after insert on model_categories referencing new table as new_rows for each statement execute function registry_log_insert();
    create trigger z_log_update after update on model_categories referencing old table as old_rows new table as new_rows for each statement execute function registry_log_update();
    create trigger z_log_delete after delete on model_categories referencing old table as old_rows for each statement execute function registry_log_delete();
    create trigger a_refuse_truncate before truncate on model_categories for each statement execute function registry_refuse_truncate();

    alter table model_categories enable row level security;
    grant select on model_categories to anon, authenticated;
    grant select, insert, update, delete on model_categories to service_role;
    create policy readers on model_categories for select to anon, authenticated using (true);
    create policy service on model_categories for all to service_role using (true) with check (true);
end
$$;

create or replace view v_active_models with (security_invoker = true) as
select m.id, m.name, m.model_id, m.model_type, m.capabilities, m.vram_mb, m.context_length, m.description,
       m.routing_priority, m.metadata, p.id as provider_id, p.name as provider_name, p.type as provider_type,
       p.api_base, p.api_key_env_var, m.status, m.card
from models m
join model_providers p on p.id = m.provider_id
where m.active and p.active and m.status in ('active', 'experimental');
comment on view v_active_models is 'Models that can be asked for: they and their provider are active, and their status offers them.';

create or replace function registry_snapshot() returns json
language sql stable set search_path from current
as $$
    select json_build_object(
        'registry_id', (select id from registry_identity),
        'revision', coalesce((select max(revision) from registry_changes), 0),
        'tables', json_build_object(
            'model_providers', coalesce((select json_agg(t) from model_providers t), '[]'),
            'model_categories', coalesce((select json_agg(t) from model_categories t), '[]'),
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

-- A column of facts with some of them changed: null takes a fact away. Unlike jsonb_strip_nulls it looks only at the
-- top, because a null further down may mean something.
create function registry_merged(facts jsonb, changes jsonb) returns jsonb
language sql immutable parallel safe
as $$
    select (facts || changes) - coalesce(
        (select array_agg(key) from jsonb_each(changes) where value = 'null'), array[]::text[])
$$;

-- As before, and: "<column>_changes" in an update changes some keys of a jsonb column and leaves the others to
-- whoever changes them at the same time.
create or replace function registry_apply(operation jsonb) returns void
language plpgsql set search_path from current
as $$
declare
    target text := operation ->> 'table';
    target_id uuid := (operation ->> 'id')::uuid;
    expected integer := (operation ->> 'version')::integer;
    content jsonb := coalesce(nullif(operation -> 'row', 'null'), '{}') - array['id', 'version', 'created_at', 'updated_at'];
    columns text;
    actual integer;
    changes text;
    merged jsonb;
begin
    if target not in ('model_providers', 'model_categories', 'models', 'model_aliases', 'functions',
                      'service_model_mappings', 'model_deployments', 'gpu_nodes', 'config_sections', 'config_files',
                      'api_keys') then
        raise exception 'no such table: %', target using errcode = 'MR400';
    end if;

    if operation ->> 'action' = 'insert' then
        select string_agg(quote_ident(key), ', ') into columns from jsonb_object_keys(content) key;
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
        for changes in select key from jsonb_object_keys(content) key where key like '%\_changes' loop
            execute format('select registry_merged(%I, $1) from %I where id = $2', left(changes, -8), target)
                into merged using content -> changes, target_id;
            content := content - changes || jsonb_build_object(left(changes, -8), merged);
        end loop;
        select string_agg(quote_ident(key), ', ') into columns from jsonb_object_keys(content) key;
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

-- As before, but the earlier states of one row are found by their index.
create or replace function registry_change_page(after_revision bigint, only_table text, only_row text, page_size integer) returns json
language sql stable set search_path from current
as $$
    with fitting as (
        select c.* from registry_changes c
        where c.table_name <> 'api_keys'
          and (only_table is null or c.table_name = only_table)
          and (only_row is null or c.row_id = only_row::uuid)
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
revoke execute on function registry_merged(jsonb, jsonb), registry_add_default_categories() from public;
grant execute on function registry_merged(jsonb, jsonb), registry_add_default_categories() to service_role;

notify pgrst, 'reload schema';
