-- depends: 0015_routed_first

-- A revision is a number, and numbers are given twice: after a backup was restored, others write past the revision that
-- a replica remembers, and the number says nothing any more. So every entry of the log has an id that is drawn anew, and
-- a revision that somebody knows counts together with the id of its entry.

-- Not a uuid: where Postgres was built without OpenSSL, one takes 7 microseconds, and thousands a second are drawn here.
-- random() is seeded anew in every server process, and two histories would have to agree at the very same revision.
alter table registry_changes add column entry_id bigint;
alter table registry_changes alter column entry_id set default 1 + (random() * 9e18)::bigint;
comment on column registry_changes.entry_id is 'Random: no restored backup gives the same revision the same id again. Null: made before there were ids; see registry_entry_id.';

-- Entries from before this migration are not rewritten, there may be millions: theirs is a digest of what no other entry
-- of the same revision shares, the time above all.
create function registry_entry_id(entry registry_changes) returns bigint
language sql immutable parallel safe
as $$
    select coalesce(entry.entry_id, hashtextextended(
        extract(epoch from entry.at)::text || ' ' || coalesce(entry.transaction_id::text, '') || ' '
        || entry.row_id::text || ' ' || entry.operation, 0))
$$;
comment on function registry_entry_id is 'What tells an entry of the change log from another of the same revision.';

-- Each function that takes a known revision takes the id of its entry too. They are made anew and not beside the old ones:
-- with a default for what is new, old callers go on.
drop function registry_changes_since(bigint);
create function registry_changes_since(known_revision bigint, known_entry bigint default null) returns json
language sql stable set search_path from current
as $$
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
$$;
comment on function registry_changes_since is 'Every change after a revision, in order: what brings a snapshot forward. A registry_id of null: the log does not reach back that far, or the known entry is not in it.';

create or replace function registry_snapshot() returns json
language sql stable set search_path from current
as $$
    with newest as (
        select c.revision, coalesce(c.entry_id, registry_entry_id(c)) as entry_id from registry_changes c order by c.revision desc limit 1
    )
    select json_build_object(
        'registry_id', (select id from registry_identity),
        'revision', coalesce((select revision from newest), 0),
        'entry_id', (select entry_id from newest),
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

-- As before, but the entry at the cut stays as well: who is just there goes on from it.
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
    where c.revision < cut
      and (c.operation = 'delete' or exists (
            select from registry_changes later
            where later.row_id = c.row_id and later.table_name = c.table_name
              and later.revision > c.revision and later.revision <= cut));
    get diagnostics gone = row_count;
    update registry_identity set history_from = cut where history_from < cut;
    return json_build_object('removed', gone, 'oldest', (select history_from from registry_identity));
end
$$;

-- Whether this log went on from an entry that somebody knows, as far as one can tell: of one that was trimmed nobody
-- can. Without an id the revision alone counts: versions of the service before this migration know none. At 0 there was
-- nothing yet.
create function registry_follows(known_revision bigint, known_entry bigint) returns boolean
language sql stable set search_path from current
as $$
    select known_entry is null or known_revision <= 0
        or exists (select from registry_identity i where i.history_from > known_revision)
        or exists (select from registry_changes c where c.revision = known_revision and coalesce(c.entry_id, registry_entry_id(c)) = known_entry)
$$;
comment on function registry_follows is 'Whether nothing speaks against the log having gone on from an entry: it is there, or trimmed.';

-- As before, and: a row's version, like a revision, is a number that a restored backup gives twice. Who asks for a version
-- of a row and knows another history is refused, as if the row had changed.
drop function registry_write(jsonb, bigint, text, text);
create function registry_write(
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
    perform set_config('registry.actor', coalesce(actor, ''), true), set_config('registry.origin', coalesce(origin, ''), true);
    perform registry_lock();
    begin
        if jsonb_path_exists(operations, '$[*].version ? (@ != null)') and not registry_follows(known_revision, known_entry) then
            raise exception 'the registry was restored from a backup since revision %', known_revision using errcode = 'MR412';
        end if;
        if jsonb_array_length(operations) = 1 then
            operation := operations -> 0;
            perform registry_apply(operation);
            return registry_changes_since(known_revision, known_entry);
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
    return registry_changes_since(known_revision, known_entry);
end
$$;
comment on function registry_write is 'All operations or none. Answers every change after the known revision, its own among them.';

drop function registry_write_alone(jsonb, bigint, text, text);
create function registry_write_alone(
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

do $$
declare
    made text;
begin
    foreach made in array array[
        'registry_entry_id(registry_changes)', 'registry_follows(bigint, bigint)', 'registry_changes_since(bigint, bigint)',
        'registry_write(jsonb, bigint, text, text, bigint)', 'registry_write_alone(jsonb, bigint, text, text, bigint)']
    loop
        execute format('revoke execute on function %s from public, anon, authenticated', made);
        execute format('grant execute on function %s to service_role', made);
    end loop;
end
$$;

notify pgrst, 'reload schema';
