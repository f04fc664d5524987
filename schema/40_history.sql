-- History: the configuration at any revision that the log still holds, and a log that can be trimmed.

create or replace function registry_settled(asked bigint) returns bigint
language sql stable set search_path from current
as $$
    with reached as (
        select revision, transaction_id from registry_changes where revision <= asked order by revision desc limit 1
    )
    select greatest(
        (select history_from from registry_identity),
        (select case when r.transaction_id is null then r.revision else (
            select c.revision from registry_changes c
            where c.revision < coalesce((
                select other.revision from registry_changes other
                where other.revision > r.revision and other.transaction_id is distinct from r.transaction_id
                order by other.revision limit 1), 9223372036854775807)
            order by c.revision desc limit 1) end
         from reached r))
$$;
comment on function registry_settled is 'The revision at which what an asked revision changed became visible. The asked one must not be newer than the newest.';

create or replace function registry_snapshot_at(asked bigint) returns json
language sql stable set search_path from current
as $$
    with known as (
        select i.id, i.history_from, coalesce((select max(revision) from registry_changes), 0) as newest from registry_identity i
    ), found as (
        select registry_settled(asked) as revision from known k where asked between k.history_from and k.newest
    ), latest as (
        select distinct on (c.table_name, c.row_id) c.table_name, c.after
        from registry_changes c, found f
        where c.revision <= f.revision and c.table_name = any (registry_configuration_tables())
        order by c.table_name, c.row_id, c.revision desc
    ), kept as (
        select table_name, json_agg(after) as rows from latest where after is not null group by table_name
    )
    select json_build_object(
        'registry_id', k.id, 'oldest', k.history_from, 'newest', k.newest,
        'revision', (select revision from found),
        'tables', (select coalesce(json_object_agg(table_name, rows), '{}') from kept))
    from known k
$$;
comment on function registry_snapshot_at is 'The configuration''s tables as they were at a revision; a revision of null when the log does not hold it.';

-- A page of the history for people.
create or replace function registry_writes(before_revision bigint, page_size integer) returns json
language sql stable set search_path from current
as $$
    with numbered as (
        select c.revision, c.at, c.actor, c.table_name, c.operation,
               c.transaction_id is null or c.transaction_id is distinct from lag(c.transaction_id) over (order by c.revision) as begins
        from registry_changes c, registry_identity i
        where c.table_name = any (registry_configuration_tables()) and c.revision > i.history_from
    ), grouped as (
        select n.*, count(*) filter (where begins) over (order by n.revision) as write_number from numbered n
    ), counted as (
        select write_number, table_name, operation, count(*) as rows, max(revision) as revision, max(at) as at, max(actor) as actor
        from grouped group by write_number, table_name, operation
    ), written as (
        select max(revision) as revision, max(at) as at, max(actor) as actor,
               json_agg(json_build_object('table', table_name, 'operation', operation, 'rows', rows) order by table_name, operation) as changes
        from counted group by write_number
    ), page as (
        select * from written where before_revision is null or revision < before_revision order by revision desc limit page_size
    )
    select json_build_object(
        'items', coalesce((select json_agg(p order by p.revision desc) from page p), '[]'),
        'count', (select count(*) from written),
        'oldest', (select history_from from registry_identity),
        'newest', coalesce((select max(revision) from registry_changes), 0),
        'next_before', (select min(p.revision) from page p
                        where exists (select from written w where w.revision < (select min(revision) from page))))
$$;
comment on function registry_writes is 'Who wrote how much of the configuration when: one entry a write, newest first.';

create or replace function registry_authors(after_revision bigint, to_revision bigint) returns json
language sql stable set search_path from current
as $$
    select coalesce(json_agg(json_build_object(
        'table', c.table_name, 'row_id', c.row_id, 'revision', c.revision, 'at', c.at, 'actor', c.actor,
        'operation', c.operation) order by c.revision), '[]')
    from registry_changes c
    where c.revision > after_revision and c.revision <= to_revision and c.table_name = any (registry_configuration_tables())
$$;
comment on function registry_authors is 'Who changed which rows of the configuration between two revisions.';

-- Of every row the entry that says how it was at the cut stays, so that the state at the cut, and at every revision
-- after it, can still be had. The newest entry of all stays too: the registry's revision must not go back. Repeating it
-- does nothing.
create or replace function registry_trim(keep_days double precision) returns json
language plpgsql set search_path from current
as $$
declare
    cut bigint;
    gone bigint;
begin
    select max(revision) into cut from registry_changes where at <= now() - make_interval(secs => keep_days * 86400);
    cut := registry_settled(cut);
    delete from registry_changes c
    where c.revision <= cut
      and c.revision < (select max(revision) from registry_changes)
      and (c.operation = 'delete' or exists (
            select from registry_changes later
            where later.table_name = c.table_name and later.row_id = c.row_id
              and later.revision > c.revision and later.revision <= cut));
    get diagnostics gone = row_count;
    update registry_identity set history_from = cut where history_from < cut;
    return json_build_object('removed', gone, 'oldest', (select history_from from registry_identity));
end
$$;
comment on function registry_trim is 'Forgets changes older than so many days, but not the state they led to.';
