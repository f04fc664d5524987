-- depends: 0010_fleet

-- What others know of models comes in by the thousand. Each statement locks, logs and looks for deployments once, so new
-- rows of one table that say the same columns go in with one statement.

create function registry_insert(target text, contents jsonb) returns void
language plpgsql set search_path from current
as $$
declare
    columns text;
begin
    select string_agg(quote_ident(key), ', ') into columns from jsonb_object_keys(contents -> 0) key;
    execute format('insert into %1$I (%2$s) select %2$s from jsonb_populate_recordset(null::%1$I, $1)', target, columns)
        using contents;
end
$$;
comment on function registry_insert is 'Inserts rows that all have the same columns, id among them, in the order given.';

-- As before, and: insertions that follow one another go in together. When they are refused, they are done one by one,
-- so that the error still says which one it was.
create or replace function registry_write(operations jsonb, known_revision bigint, actor text default null, origin text default null)
returns json
language plpgsql set search_path from current
as $$
declare
    run record;
    operation jsonb;
    place bigint;
    failed_state text;
    failed_message text;
    failed_constraint text;
begin
    perform set_config('registry.actor', coalesce(actor, ''), true), set_config('registry.origin', coalesce(origin, ''), true);
    perform registry_lock();
    begin
        for run in
            with told as (
                select o.value, o.ordinality - 1 as nth,
                       case when o.value ->> 'action' = 'insert' and o.value ->> 'table' in ('models', 'model_providers')
                                 and jsonb_typeof(o.value -> 'row') = 'object' then
                           (o.value -> 'row') - array['version', 'created_at', 'updated_at'] || jsonb_build_object('id', o.value -> 'id')
                       end as content
                from jsonb_array_elements(operations) with ordinality o
            ), shaped as (
                select *, (value ->> 'table') || ' ' || (select string_agg(key, ' ' order by key) from jsonb_object_keys(content) key) as shape
                from told
            ), bounded as (
                select *, case when shape = lag(shape) over (order by nth) then 0 else 1 end as starts from shaped
            ), numbered as (
                select *, sum(starts) over (order by nth) as number from bounded
            )
            select number, min(nth) as first, min(value ->> 'table') as target,
                   jsonb_agg(value order by nth) as steps, jsonb_agg(content order by nth) as contents
            from numbered group by number order by number
        loop
            if jsonb_array_length(run.steps) > 1 then
                begin
                    perform registry_insert(run.target, run.contents);
                    continue;
                exception when others then
                    null; -- one by one, below
                end;
            end if;
            for operation, place in select value, run.first + ordinality - 1 from jsonb_array_elements(run.steps) with ordinality loop
                perform registry_apply(operation);
            end loop;
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

revoke execute on function registry_insert(text, jsonb) from public;
grant execute on function registry_insert(text, jsonb) to service_role;

notify pgrst, 'reload schema';
