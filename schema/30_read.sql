-- Reading: the whole registry, what has changed since, and the change log for people.

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
comment on function registry_snapshot is 'The whole registry at one revision, in one statement and so of one moment.';

-- A reader who is further behind than the log reaches is answered with no registry in particular, which makes any
-- version of the service load its snapshot anew.
create or replace function registry_changes_since(known_revision bigint) returns json
language sql stable set search_path from current
as $$
    select json_build_object(
        'registry_id', (select id from registry_identity where history_from <= known_revision),
        'revision', coalesce((select max(revision) from registry_changes), 0),
        'changes', coalesce((
            select json_agg(json_build_object(
                'revision', c.revision, 'at', c.at, 'actor', c.actor, 'origin', c.origin, 'table', c.table_name,
                'row_id', c.row_id, 'operation', c.operation, 'row', c.after) order by c.revision)
            from registry_changes c
            where c.revision > known_revision
              and exists (select from registry_identity where history_from <= known_revision)), '[]'))
$$;
comment on function registry_changes_since is 'Every change after a revision, in order: what brings a snapshot forward. A registry_id of null: the log no longer reaches back that far.';

-- Keys are left out: who may read the log need not know of them. What the log has only once ("before" of a deployment's
-- update) is shown at both changes.
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
comment on function registry_change_page is 'The change log for people: a page of it, oldest first, without keys.';
