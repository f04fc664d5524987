-- depends: 0016_entry_ids

-- Bounds of the fleet: how many nodes are kept, how they are forgotten, and what a change of the catalogue costs while
-- thousands of deployments are known.

-- Links of deployments ------------------------------------------------------------------------------------------------
--
-- As before, but the deployments that a statement concerns are found by their indexes, and an update that moves nothing
-- a link hangs on looks for none. The triggers run under the write lock, and read every deployment of the fleet on every
-- change of a model.

create function link_deployments_again(concerned uuid[]) returns void
language sql volatile set search_path from current
as $$
    update model_deployments d set model_id = find_announced_model(d.provider_type, d.announced_model)
    where d.id = any (concerned)
$$;
comment on function link_deployments_again is 'Links these deployments to the models of the catalogue that fit them now.';

create or replace function link_deployments() returns trigger
language plpgsql set search_path from current
as $$
declare
    concerned uuid[];
begin
    select array_agg(d.id) into concerned from model_deployments d
    where d.model_id is null and d.announced_model = any (array(select n.model_id from new_rows n union select n.name from new_rows n));
    if concerned is not null then
        perform link_deployments_again(concerned);
    end if;
    return null;
end
$$;

-- What a link hangs on: the names, the type ("tts" is what nodes say of such a model), and the provider.
create function link_deployments_of_updated() returns trigger
language plpgsql set search_path from current
as $$
declare
    moved uuid[];
    names text[];
    concerned uuid[];
begin
    select array_agg(m.id), array_agg(m.name::text) || array_agg(m.model_id::text) into moved, names from (
        select id, name, model_id, model_type, provider_id from new_rows
        except select id, name, model_id, model_type, provider_id from old_rows) m;
    if moved is null then
        return null;
    end if;
    select array_agg(d.id) into concerned from (
        select u.id from model_deployments u where u.model_id is null and u.announced_model = any (names)
        union all
        select l.id from model_deployments l join models m on m.id = l.model_id
        where l.model_id = any (moved) and l.announced_model not in (m.model_id, m.name)) d;
    if concerned is not null then
        perform link_deployments_again(concerned);
    end if;
    return null;
end
$$;
drop trigger m_link_updated on models;
create trigger m_link_updated after update on models referencing old table as old_rows new table as new_rows
    for each statement execute function link_deployments_of_updated();

create or replace function link_deployments_of_deleted() returns trigger
language plpgsql set search_path from current
as $$
declare
    concerned uuid[];
begin
    select array_agg(d.id) into concerned from model_deployments d
    where d.model_id is null and d.announced_model = any (array(select o.model_id from old_rows o union select o.name from old_rows o));
    if concerned is not null then
        perform link_deployments_again(concerned);
    end if;
    return null;
end
$$;

create or replace function link_deployments_of_provider() returns trigger
language plpgsql set search_path from current
as $$
declare
    moved uuid[];
    concerned uuid[];
begin
    select array_agg(p.id) into moved from (select id, type, name from new_rows except select id, type, name from old_rows) p;
    if moved is null then
        return null;
    end if;
    select array_agg(d.id) into concerned from (
        select l.id from model_deployments l join models m on m.id = l.model_id where m.provider_id = any (moved)
        union
        select u.id from model_deployments u
        where u.model_id is null and u.announced_model in (
            select m.model_id from models m where m.provider_id = any (moved)
            union select m.name from models m where m.provider_id = any (moved))) d;
    if concerned is not null then
        perform link_deployments_again(concerned);
    end if;
    return null;
end
$$;

-- Most nodes ------------------------------------------------------------------------------------------------------------

-- As before, and: at most so many nodes are kept. Those that are one too many are answered with "crowded", and nothing
-- that they say is kept. With the id of the known revision's entry (0016).
drop function registry_record_events(jsonb, bigint, text, text, jsonb, jsonb, jsonb, integer, timestamptz);
create function registry_record_events(
    events jsonb, known_revision bigint, actor text default null, origin text default null, statuses jsonb default '[]',
    heard jsonb default null, rejected jsonb default '[]', most_deployments integer default null, clock timestamptz default null,
    known_entry bigint default null, most_nodes integer default null)
returns json
language plpgsql set search_path from current
as $$
declare
    moment timestamptz := coalesce(clock, clock_timestamp());
    known json;
    unsettled jsonb := '[]';
    refused jsonb := '[]';
    crowded text[];
begin
    perform set_config('registry.actor', coalesce(actor, ''), true), set_config('registry.origin', coalesce(origin, ''), true);
    perform registry_lock();
    if heard is null then
        select jsonb_object_agg(e.node_id, e.at) into heard from (
            select node_id, max(event_at) as at from jsonb_to_recordset(events) as e (node_id text, event_at timestamptz) group by node_id) e;
    end if;
    if statuses <> '[]' then
        unsettled := registry_record_heartbeats(statuses, moment);
    end if;
    if coalesce(heard, '{}') <> '{}' and most_nodes is not null then
        crowded := registry_crowded_nodes(heard, most_nodes);
    end if;
    if crowded is not null then
        heard := heard - crowded;
        events := jsonb_path_query_array(events, '$[*] ? (!(@.node_id == $crowded[*]))', jsonb_build_object('crowded', crowded));
        statuses := jsonb_path_query_array(statuses, '$[*] ? (!(@.node_id == $crowded[*]))', jsonb_build_object('crowded', crowded));
    end if;
    if coalesce(heard, '{}') <> '{}' then
        refused := registry_merge_events(events, statuses, heard, most_deployments, moment);
        if statuses <> '[]' then
            perform registry_settle_statuses(statuses);
        end if;
    end if;
    if rejected <> '[]' then
        perform registry_keep_rejected(rejected);
    end if;
    known := registry_changes_since(known_revision, known_entry);
    if unsettled = '[]' and refused = '[]' and crowded is null then
        return known;
    end if;
    return json_build_object('registry_id', known -> 'registry_id', 'revision', known -> 'revision', 'entry_id', known -> 'entry_id',
                             'changes', known -> 'changes', 'unsettled', unsettled, 'refused', refused,
                             'crowded', coalesce(to_jsonb(crowded), '[]'));
end
$$;
comment on function registry_record_events is 'Records what nodes said: events, status messages, and what could not be understood.';

create function registry_crowded_nodes(heard jsonb, most_nodes integer) returns text[]
language plpgsql stable set search_path from current
as $$
declare
    strangers text[];
begin
    select array_agg(h.key order by h.value, h.key) into strangers from jsonb_each_text(heard) h
    where not exists (select from gpu_nodes n where n.node_id = h.key);
    if strangers is null then
        return null;  -- as nearly always: nothing is counted
    end if;
    strangers := strangers[1 + greatest(0, most_nodes - (select count(*) from gpu_nodes)::integer):];
    return nullif(strangers, '{}');
end
$$;
comment on function registry_crowded_nodes is 'The nodes among those heard that there is no room for; null when there is room for all.';

-- Forgets nodes with their deployments, in one transaction: {id of a node: its version}. One that has changed since, as when
-- it spoke again, is left.
create function registry_forget_nodes(
    nodes jsonb, known_revision bigint, actor text default null, origin text default null, known_entry bigint default null)
returns json
language plpgsql set search_path from current
as $$
declare
    names text[];
    deployments integer;
    known json;
begin
    perform set_config('registry.actor', coalesce(actor, ''), true), set_config('registry.origin', coalesce(origin, ''), true);
    perform registry_lock();
    if not registry_follows(known_revision, known_entry) then
        raise exception 'the registry was restored from a backup since revision %', known_revision using errcode = 'MR412';
    end if;
    select array_agg(n.node_id::text) into names
    from jsonb_each_text(nodes) w join gpu_nodes n on n.id = w.key::uuid and n.version = w.value::integer;
    delete from model_deployments d where d.node_id = any (names);
    get diagnostics deployments = row_count;
    delete from gpu_nodes n where n.node_id = any (names);
    known := registry_changes_since(known_revision, known_entry);
    return json_build_object('registry_id', known -> 'registry_id', 'revision', known -> 'revision', 'entry_id', known -> 'entry_id',
                             'changes', known -> 'changes', 'nodes', coalesce(cardinality(names), 0), 'deployments', deployments);
end
$$;
comment on function registry_forget_nodes is 'Forgets nodes and their deployments at once, those that are still of a version.';

-- As before, with the id of the known revision's entry (0016).
drop function registry_expire_nodes(timestamptz, double precision, double precision, bigint, text, text, timestamptz);
create function registry_expire_nodes(
    heard_through timestamptz, silent_seconds double precision, gap_seconds double precision,
    known_revision bigint, actor text default null, origin text default null, clock timestamptz default null,
    known_entry bigint default null)
returns json
language plpgsql set search_path from current
as $$
declare
    moment timestamptz := coalesce(clock, clock_timestamp());
    through timestamptz := case when heard_through is not null then least(heard_through, moment) end;
    watch fleet_watch;
    silent text[];
    speaking integer;
    known json;
begin
    -- One replica at a time; the others have nothing to do.
    if through is not null and pg_try_advisory_xact_lock(7366113290412) then
        select * into watch from fleet_watch;
        if watch.heard_through > moment then
            watch.heard_through := null;  -- this database's clock has been set back
            perform registry_lock();
            update gpu_nodes set heard_at = moment where heard_at > moment;
        end if;
        if watch.heard_through is null or through > watch.heard_through then
            if watch.heard_through is null or through > watch.heard_through + make_interval(secs => gap_seconds) then
                watch.hearing_since := through;
                watch.suspected_since := null;
            end if;
            watch.heard_through := through;
            select count(*), array_agg(n.node_id) filter (
                where greatest(n.heard_at, watch.hearing_since) < through - make_interval(secs => silent_seconds))
            into speaking, silent
            from gpu_nodes n where n.status = 'ready' and n.status_at is not null;

            if cardinality(silent) >= 3 and cardinality(silent) * 2 > speaking then
                watch.suspected_since := coalesce(watch.suspected_since, through);
                if through < watch.suspected_since + make_interval(secs => silent_seconds) then
                    silent := null;
                else
                    watch.mass_lost_at := moment;
                    watch.mass_lost := cardinality(silent);
                    watch.mass_of := speaking;
                    watch.suspected_since := null;
                end if;
            else
                watch.suspected_since := null;
            end if;
            if cardinality(silent) > 0 then
                perform set_config('registry.actor', coalesce(actor, ''), true), set_config('registry.origin', coalesce(origin, ''), true);
                perform registry_lock();
                -- Looked at again: one may have spoken while we waited for the lock.
                update gpu_nodes n set status = 'lost', lost_at = moment, status_digest = null
                where n.node_id = any (silent) and n.status = 'ready'
                  and greatest(n.heard_at, watch.hearing_since) < through - make_interval(secs => silent_seconds);
                update model_deployments d set status = 'lost'
                where d.status in ('loading', 'loaded')
                  and d.node_id in (select n.node_id from gpu_nodes n where n.node_id = any (silent) and n.status = 'lost');
            end if;
            if watch.mass_lost_at is not null and 2 * (select count(*) from gpu_nodes n where n.lost_at = watch.mass_lost_at) <= watch.mass_lost then
                watch.mass_lost_at := null;
            end if;
            update fleet_watch f set
                heard_through = watch.heard_through, hearing_since = watch.hearing_since,
                suspected_since = watch.suspected_since, mass_lost_at = watch.mass_lost_at,
                mass_lost = case when watch.mass_lost_at is not null then watch.mass_lost end,
                mass_of = case when watch.mass_lost_at is not null then watch.mass_of end;
        end if;
    end if;
    known := registry_changes_since(known_revision, known_entry);
    return json_build_object(
        'registry_id', known -> 'registry_id', 'revision', known -> 'revision', 'entry_id', known -> 'entry_id',
        'changes', known -> 'changes',
        'at', moment, 'fleet', (select to_json(f) from fleet_watch f));
end
$$;
comment on function registry_expire_nodes is 'Takes nodes for lost that were silent while the registry could hear. Answers the time, and how well the fleet is heard.';

do $$
declare
    made text;
begin
    foreach made in array array[
        'link_deployments_again(uuid[])', 'link_deployments_of_updated()', 'registry_crowded_nodes(jsonb, integer)',
        'registry_record_events(jsonb, bigint, text, text, jsonb, jsonb, jsonb, integer, timestamptz, bigint, integer)',
        'registry_forget_nodes(jsonb, bigint, text, text, bigint)',
        'registry_expire_nodes(timestamptz, double precision, double precision, bigint, text, text, timestamptz, bigint)']
    loop
        execute format('revoke execute on function %s from public, anon, authenticated', made);
        execute format('grant execute on function %s to service_role', made);
    end loop;
end
$$;

notify pgrst, 'reload schema';
