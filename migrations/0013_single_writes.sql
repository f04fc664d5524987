-- depends: 0012_event_costs

-- As before, but a write of one operation, as most are, goes the short way: to look for operations that could go in
-- together took a third of what it cost.
create or replace function registry_write(operations jsonb, known_revision bigint, actor text default null, origin text default null)
returns json
language plpgsql set search_path from current
as $$
declare
    run record;
    operation jsonb;
    place bigint := 0;
    failed_state text;
    failed_message text;
    failed_constraint text;
begin
    perform set_config('registry.actor', coalesce(actor, ''), true), set_config('registry.origin', coalesce(origin, ''), true);
    perform registry_lock();
    begin
        if jsonb_array_length(operations) = 1 then
            operation := operations -> 0;
            perform registry_apply(operation);
            return registry_changes_since(known_revision);
        end if;
        for run in select * from registry_runs(operations) loop
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

-- Insertions that follow one another and say the same columns, as one; every other operation for itself.
create function registry_runs(operations jsonb) returns table (first bigint, target text, steps jsonb, contents jsonb)
language sql immutable set search_path from current
as $$
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
    select min(nth), min(value ->> 'table'), jsonb_agg(value order by nth), jsonb_agg(content order by nth)
    from numbered group by number order by number
$$;
comment on function registry_runs is 'The operations of a write, put together as far as one statement goes.';

revoke execute on function registry_runs(jsonb) from public;
grant execute on function registry_runs(jsonb) to service_role;

notify pgrst, 'reload schema';
