-- The one write path. All operations or none, and in the answer everything the writer has not seen yet, so that a write
-- and the look at its result are one round trip.

-- Unlike jsonb_strip_nulls it looks only at the top, because a null further down may mean something.
create or replace function registry_merged(facts jsonb, changes jsonb) returns jsonb
language sql immutable parallel safe
as $$
    select (facts || changes) - coalesce(
        (select array_agg(key) from jsonb_each(changes) where value = 'null'), array[]::text[])
$$;
comment on function registry_merged is 'A column of facts with some of them changed: null takes a fact away.';

-- An operation is {"table", "action": insert|update|delete, "id", "row", "version"}. Only the keys of "row" are written;
-- "<column>_changes" in an update changes some keys of a jsonb column and leaves the others to who changes them at
-- the same time. A "version" that is not the row's is refused, which guards against lost updates. An insert may have
-- "rows" instead, all with the same columns, id among them; they are inserted in the order given.
create or replace function registry_apply(operation jsonb) returns void
language plpgsql set search_path from current
as $$
declare
    target text := operation ->> 'table';
    target_id uuid := (operation ->> 'id')::uuid;
    expected integer := (operation ->> 'version')::integer;
    content jsonb := coalesce(nullif(operation -> 'row', 'null'), '{}') - array['id', 'version', 'created_at', 'updated_at'];
    rows jsonb;
    columns text;
    actual integer;
    changes text;
    merged jsonb;
begin
    if target <> all (registry_tracked_tables()) then
        raise exception 'no such table: %', target using errcode = 'MR400';
    end if;

    if operation ->> 'action' = 'insert' then
        rows := coalesce(operation -> 'rows', jsonb_build_array(content || jsonb_build_object('id', target_id)));
        select string_agg(quote_ident(key), ', ') into columns from jsonb_object_keys(rows -> 0) key;
        execute format('insert into %1$I (%2$s) select %2$s from jsonb_populate_recordset(null::%1$I, $1)', target, columns)
            using rows;
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
comment on function registry_apply is 'Does one operation of a write.';

-- What others know of models comes in by the thousand. Each statement locks, logs and looks for deployments once, so
-- insertions that follow one another and name the same columns go in as one; every other operation for itself.
create or replace function registry_runs(operations jsonb) returns table (first bigint, target text, steps jsonb, contents jsonb)
language sql immutable set search_path from current
as $$
    with listed as (
        select o.value, o.ordinality - 1 as nth,
               case when o.value ->> 'action' = 'insert' and o.value ->> 'table' in ('models', 'model_providers')
                         and jsonb_typeof(o.value -> 'row') = 'object' then
                   (o.value -> 'row') - array['version', 'created_at', 'updated_at'] || jsonb_build_object('id', o.value -> 'id')
               end as content
        from jsonb_array_elements(operations) with ordinality o
    ), shaped as (
        select *, coalesce((value ->> 'table') || ' ' || (select string_agg(key, ' ' order by key) from jsonb_object_keys(content) key),
                           nth::text) as shape
        from listed
    ), numbered as (
        -- Of one shape, side by side: as far from the first of all as from the first of the shape.
        select *, nth - row_number() over (partition by shape order by nth) as run from shaped
    )
    select min(nth), min(value ->> 'table'), jsonb_agg(value order by nth), jsonb_agg(content order by nth)
    from numbered group by shape, run order by min(nth)
$$;
comment on function registry_runs is 'The operations of a write, put together as far as one statement goes.';

-- A write of one operation, as most are, goes the short way: to look for operations that could go in together took a
-- third of what it cost. Insertions that are refused together are done one by one, so that the error says which it was.
-- A row's version, like a revision, is a number that a restored backup gives twice: who asks for a version of a row and
-- knows another history is refused, as if the row had changed.
create or replace function registry_write(
    operations jsonb, known_revision bigint, actor text default null, origin text default null, known_entry bigint default null)
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
    perform set_config('registry.actor', coalesce(actor, ''), true), set_config('registry.origin', coalesce(origin, ''), true), registry_lock();
    begin
        if jsonb_path_exists(operations, '$[*].version ? (@ != null)') and not registry_follows(known_revision, known_entry) then
            raise exception 'the registry was restored from a backup since revision %', known_revision using errcode = 'MR412';
        end if;
        if jsonb_array_length(operations) = 1 then
            operation := operations -> 0;
            perform registry_apply(operation);
        else
            for run in select * from registry_runs(operations) loop
                if jsonb_array_length(run.steps) > 1 then
                    begin
                        perform registry_apply(jsonb_build_object('table', run.target, 'action', 'insert', 'rows', run.contents));
                        continue;
                    exception when others then
                        null; -- one by one, below
                    end;
                end if;
                for operation, place in select value, run.first + ordinality - 1 from jsonb_array_elements(run.steps) with ordinality loop
                    perform registry_apply(operation);
                end loop;
            end loop;
        end if;
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
    return registry_changes_since(known_revision, known_entry);
end
$$;
comment on function registry_write is 'All operations or none. Answers every change after the known revision, its own among them.';

-- For a write that was worked out from the whole configuration, such as a rollback.
create or replace function registry_write_alone(
    operations jsonb, known_revision bigint, actor text default null, origin text default null, known_entry bigint default null)
returns json
language plpgsql set search_path from current
as $$
begin
    perform registry_lock();
    if not registry_follows(known_revision, known_entry) or exists (
        select from registry_changes where revision > known_revision and table_name = any (registry_configuration_tables()))
    then
        raise exception 'the configuration has changed since revision %', known_revision using errcode = 'MR412';
    end if;
    return registry_write(operations, known_revision, actor, origin, known_entry);
end
$$;
comment on function registry_write_alone is 'registry_write, refused when the configuration has changed since a revision.';
