-- depends: 0018_closed_reads

-- Pages of the log cost what they show: neither function counts the log any more, and each reads from a revision on. Both
-- tell the number of all only while it is small (null: more than that), because anybody may ask and counting 100,000
-- entries for each of them holds up writers.

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

notify pgrst, 'reload schema';
