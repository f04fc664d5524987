-- Reading: the whole registry, what has changed since, and the change log for people.

create or replace function registry_snapshot() returns json
language plpgsql stable set search_path from current
as $$
declare
    tables text := (
        select string_agg(format('%L, coalesce((select json_agg(t) from %I t), ''[]'')', name, name), ', ' order by place)
        from unnest(registry_tracked_tables()) with ordinality tracked (name, place));
    snapshot json;
begin
    execute format($all$
        with newest as (
            select c.revision, coalesce(c.entry_id, registry_entry_id(c)) as entry_id from registry_changes c order by c.revision desc limit 1
        )
        select json_build_object(
            'registry_id', (select id from registry_identity),
            'revision', coalesce((select revision from newest), 0),
            'entry_id', (select entry_id from newest),
            'tables', json_build_object(%s))
        $all$, tables) into snapshot;
    return snapshot;
end
$$;
comment on function registry_snapshot is 'The whole registry at one revision, in one statement and so of one moment.';

-- A reader who is further behind than the log reaches, or knows an entry that is not in it, is answered with no registry in
-- particular, which makes any version of the service load its snapshot anew.
-- Every poll, write and event asks this, and planning it takes ten times as long as doing it: one plan serves all calls. It
-- cannot know how many changes there are, so it follows the index whatever the statistics of the log are.
create or replace function registry_changes_since(known_revision bigint, known_entry bigint default null) returns json
language plpgsql stable set search_path from current
    set plan_cache_mode to force_generic_plan set enable_seqscan to off set enable_bitmapscan to off set enable_sort to off
as $$
begin return (
    with known as materialized (
        select i.id from registry_identity i
        where i.history_from <= known_revision and (known_entry is null or known_revision <= 0 or exists (
            select from registry_changes c where c.revision = known_revision and coalesce(c.entry_id, registry_entry_id(c)) = known_entry))
    ), newest as (
        select c.revision, coalesce(c.entry_id, registry_entry_id(c)) as entry_id from registry_changes c order by c.revision desc limit 1
    )
    select json_build_object(
        'registry_id', (select id from known),
        'revision', coalesce((select revision from newest), 0),
        'entry_id', (select entry_id from newest),
        'changes', coalesce((
            select json_agg(json_build_object(
                'revision', c.revision, 'entry_id', coalesce(c.entry_id, registry_entry_id(c)), 'at', c.at, 'actor', c.actor, 'origin', c.origin,
                'table', c.table_name, 'row_id', c.row_id, 'operation', c.operation, 'row', c.after) order by c.revision)
            from registry_changes c
            where c.revision > known_revision and exists (select from known)), '[]'))
); end
$$;
comment on function registry_changes_since is 'Every change after a revision, in order: what brings a snapshot forward. A registry_id of null: the log does not reach back that far, or the known entry is not in it.';

create or replace function registry_with(answer json, more json) returns json
language sql stable set search_path from current
as $$ select json_object_agg(key, value) from (select * from json_each(answer) union all select * from json_each(more)) both_of_them $$;
comment on function registry_with is 'The answer of a write, with more in it.';

-- Without an id the revision alone counts: older versions of the service know none. At 0 there was nothing yet.
create or replace function registry_follows(known_revision bigint, known_entry bigint) returns boolean
language sql stable set search_path from current
as $$
    select known_entry is null or known_revision <= 0
        or exists (select from registry_identity i where i.history_from > known_revision)
        or exists (select from registry_changes c where c.revision = known_revision and coalesce(c.entry_id, registry_entry_id(c)) = known_entry)
$$;
comment on function registry_follows is 'Whether nothing speaks against the log having gone on from an entry: it is there, or trimmed.';

-- Keys are left out: who may read the log need not know of them. What the log has only once ("before" of a deployment's
-- update) is shown at both changes. A page costs what it shows: the number of all is counted only while it is small (null:
-- more than that), because anybody may ask, and counting 100,000 entries for each of them holds up writers.
create or replace function registry_change_page(after_revision bigint, only_table text, only_row text, page_size integer) returns json
language plpgsql stable set search_path from current
as $$
declare
    counted_at_most constant integer := 1000;
    fits text := 'c.table_name <> ''api_keys''';
    page json;
begin
    -- The text is made anew for each call, so that it is planned for what is asked: one row's entries have an index.
    if only_table is not null then
        fits := fits || format(' and c.table_name = %L', only_table);
    end if;
    if only_row is not null then
        fits := fits || format(' and c.row_id = %L::uuid', only_row);
    end if;
    execute format($page$
        with found as (
            select c.* from registry_changes c where %1$s and c.revision > $1 order by c.revision limit $2 + 1
        ), page as (
            select * from found order by revision limit $2
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
            'count', (select case when count(*) <= $3 then count(*) end
                      from (select from registry_changes c where %1$s limit $3 + 1) some_of_all),
            'next_after', (select max(p.revision) from page p where (select count(*) from found) > $2))
        $page$, fits) into page using after_revision, page_size, counted_at_most;
    return page;
end
$$;
comment on function registry_change_page is 'The change log for people: a page of it, oldest first, without keys.';
