-- depends: 0011_knowledge

-- Deployments change thousands of times a second, and the change log was half of what one cost.

-- By the row alone: half the size of the index that began with the table's name, and an id is never in two tables.
-- It is built anew here, which holds writers up for about a second for each million entries.
drop index registry_changes_row_idx;
create index registry_changes_row_idx on registry_changes (row_id, revision);

-- As before, but the state of a deployment before an update is not written down again: the log has it from the change
-- before.
create or replace function registry_log_update() returns trigger
language plpgsql set search_path from current set enable_nestloop to off set enable_hashjoin to on
as $$
begin
    insert into registry_changes (revision, actor, origin, table_name, row_id, operation, before, after)
    select nextval('registry_revision'), registry_actor(), nullif(current_setting('registry.origin', true), ''),
           tg_table_name, n.id, 'update', case when tg_table_name <> 'model_deployments' then to_jsonb(o) end, to_jsonb(n)
    from new_rows n join old_rows o on o.id = n.id
    where n.version <> o.version;
    return null;
end
$$;
comment on column registry_changes.before is 'The row before an update or a deletion. Null for an update of a deployment: see "after" of its change before this.';

-- As before, but what the log has only once is told at both changes.
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
                'operation', p.operation, 'after', p.after, 'before', coalesce(p.before, (
                    select earlier.after from registry_changes earlier
                    where p.operation = 'update' and earlier.row_id = p.row_id and earlier.revision < p.revision
                    order by earlier.revision desc limit 1))) order by p.revision)
            from page p), '[]'),
        'count', (select count(*) from fitting),
        'next_after', (select max(p.revision) from page p
                       where exists (select from fitting f where f.revision > (select max(revision) from page))))
$$;

-- Of a few events the rows are looked up one by one; of many, tables are read whole and joined. A plan is made once and
-- kept, and cannot know which of the two it will be, so each has its own: the same text, planned under other settings.
alter function registry_merge_events(jsonb, jsonb, jsonb, integer, timestamptz) rename to registry_merge_many_events;
do $$
declare
    arguments text := 'events jsonb, statuses jsonb, heard jsonb, most_deployments integer, moment timestamptz';
begin
    -- In PL/pgSQL, whose plans outlive the call in every version of Postgres.
    execute format(
        'create function registry_merge_few_events(%s) returns jsonb language plpgsql set search_path from current '
        'set enable_seqscan to off set enable_hashjoin to off set enable_mergejoin to off as %L',
        arguments, format(E'#variable_conflict use_column\ndeclare\n    refused jsonb;\nbegin\n    for refused in%s\n    loop\n        return refused;\n    end loop;\nend',
            (select p.prosrc from pg_proc p where p.oid = 'registry_merge_many_events(jsonb, jsonb, jsonb, integer, timestamptz)'::regprocedure)));
end
$$;
comment on function registry_merge_few_events is 'registry_merge_many_events, with plans for a few rows.';

create function registry_merge_events(events jsonb, statuses jsonb, heard jsonb, most_deployments integer, moment timestamptz)
returns jsonb
language plpgsql set search_path from current
as $$
declare
    number bigint := jsonb_array_length(events) + coalesce((
        select sum(jsonb_array_length(s -> 'listed')) from jsonb_array_elements(statuses) s
        where jsonb_typeof(s -> 'listed') = 'array'), 0);
begin
    if number <= 50 then
        return registry_merge_few_events(events, statuses, heard, most_deployments, moment);
    end if;
    return registry_merge_many_events(events, statuses, heard, most_deployments, moment);
end
$$;
comment on function registry_merge_events is 'Takes events and whole status messages, by the rule of 0010. Answers the deployments that nodes have no room for.';

revoke execute on function registry_merge_few_events(jsonb, jsonb, jsonb, integer, timestamptz),
    registry_merge_events(jsonb, jsonb, jsonb, integer, timestamptz) from public;
grant execute on function registry_merge_few_events(jsonb, jsonb, jsonb, integer, timestamptz),
    registry_merge_events(jsonb, jsonb, jsonb, integer, timestamptz) to service_role;

notify pgrst, 'reload schema';
