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

-- A page of the history for people. Like one of the log (30) it costs what it shows.
create or replace function registry_writes(before_revision bigint, page_size integer) returns json
language plpgsql stable set search_path from current
as $$
declare
    counted_at_most constant integer := 1000;
    configuration constant text[] := registry_configuration_tables();
    oldest constant bigint := (select history_from from registry_identity);
    -- The transaction of the entry at or after before_revision: what else it wrote is no part of this page.
    cut_transaction registry_changes.transaction_id%type;
    write_transaction registry_changes.transaction_id%type;
    entry record;
    writes integer := 0;
    highest bigint;
    lowest bigint;
begin
    if before_revision is not null then
        select c.transaction_id into cut_transaction from registry_changes c
        where c.table_name = any (configuration) and c.revision >= before_revision order by c.revision limit 1;
    end if;
    -- From the newest on, entry by entry, until the page is full: a loop reads no further than it goes.
    for entry in
        select c.revision, c.transaction_id from registry_changes c
        where c.table_name = any (configuration) and c.revision > oldest
          and (before_revision is null or c.revision < before_revision)
        order by c.revision desc
    loop
        continue when writes = 0 and entry.transaction_id = cut_transaction;
        if writes = 0 or entry.transaction_id is null or entry.transaction_id is distinct from write_transaction then
            writes := writes + 1;
            write_transaction := entry.transaction_id;
        end if;
        exit when writes > page_size;
        highest := coalesce(highest, entry.revision);
        lowest := entry.revision;
    end loop;
    return (
        with numbered as (
            select c.revision, c.at, c.actor, c.table_name, c.operation,
                   c.transaction_id is null
                       or c.transaction_id is distinct from lag(c.transaction_id) over (order by c.revision) as begins
            from registry_changes c
            where c.table_name = any (configuration) and c.revision between lowest and highest
        ), grouped as (
            select n.*, count(*) filter (where begins) over (order by n.revision) as write_number from numbered n
        ), counted as (
            select write_number, table_name, operation, count(*) as rows, max(revision) as revision, max(at) as at,
                   max(actor) as actor
            from grouped group by write_number, table_name, operation
        ), written as (
            select max(revision) as revision, max(at) as at, max(actor) as actor,
                   json_agg(json_build_object('table', table_name, 'operation', operation, 'rows', rows)
                            order by table_name, operation) as changes
            from counted group by write_number
        ), newest as (
            select c.transaction_id is null
                       or c.transaction_id is distinct from lag(c.transaction_id) over (order by c.revision) as begins
            from (select revision, transaction_id from registry_changes
                  where table_name = any (configuration) and revision > oldest
                  order by revision desc limit counted_at_most + 1) c
        )
        select json_build_object(
            'items', coalesce((select json_agg(w order by w.revision desc) from written w), '[]'),
            'count', (select case when count(*) <= counted_at_most then count(*) filter (where begins) end from newest),
            'oldest', oldest,
            'newest', coalesce((select max(revision) from registry_changes), 0),
            'next_before', (select min(w.revision) from written w where writes > page_size)));
end
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
-- after it, can still be had. The entry at the cut stays too: who is just there goes on from it, and the registry's revision
-- must not go back. Repeating it does nothing. The revision that a gateway is pinned to stays too, and one that it would be
-- moved to if others approve: so the cut is there at the latest.
create or replace function registry_trim(keep_days double precision) returns json
language plpgsql set search_path from current
as $$
declare
    cut bigint;
    gone bigint;
    -- The oldest revision that a gateway needs.
    needed constant bigint := (
        select min(least(pinned_revision, case when promotion ->> 'state' = 'pending' then (promotion ->> 'revision')::bigint end))
        from gateways);
begin
    select max(revision) into cut from registry_changes where at <= now() - make_interval(secs => keep_days * 86400);
    -- Null while nothing is that old, and `least` passes over nulls.
    cut := registry_settled(case when cut is not null then least(cut, needed) end);
    delete from registry_changes c
    where c.revision < cut
      and (c.operation = 'delete' or exists (
            select from registry_changes later
            where later.row_id = c.row_id and later.table_name = c.table_name
              and later.revision > c.revision and later.revision <= cut));
    get diagnostics gone = row_count;
    update registry_identity set history_from = cut where history_from < cut;
    return json_build_object(
        'removed', gone, 'oldest', (select history_from from registry_identity),
        'held_by', (
            select coalesce(json_agg(name order by name), '[]') from gateways
            where cut = needed
              and (pinned_revision = needed or (promotion ->> 'state' = 'pending' and promotion ->> 'revision' = needed::text))));
end
$$;
comment on function registry_trim is 'Forgets changes older than so many days, but not the state they led to, and nothing that a pinned gateway has.';
