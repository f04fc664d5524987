-- The fleet as a whole: nodes that fall silent, routes that come and go, and what people ask.

-- Silence -------------------------------------------------------------------------------------------------------------
--
-- A node is lost when it has been silent for some seconds *while the registry could hear*. The caller says up to when,
-- by this database's clock, everything that NATS got is recorded (heard_through; null: it does not know). Where that
-- moves on by more than a gap, nobody could say what happened in between: silence counts anew from there. All times
-- that are compared are this database's own, so that the clocks of others do not matter. When this one has been set
-- back, no node counts as heard at a time that is yet to come: one that fell silent would not be lost until the clock
-- was there again.
--
-- When most of the fleet falls silent at once, something between it and us is more likely than so many deaths: that is
-- suspected first, and believed when it has lasted for as long again.
create or replace function registry_expire_nodes(
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
                perform set_config('registry.actor', coalesce(actor, ''), true), set_config('registry.origin', coalesce(origin, ''), true), registry_lock();
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
    return registry_with(registry_changes_since(known_revision, known_entry), json_build_object(
        'at', moment, 'fleet', (select to_json(f) from fleet_watch f)));
end
$$;
comment on function registry_expire_nodes is 'Takes nodes for lost that were silent while the registry could hear. Answers the time, and how well the fleet is heard.';

-- Forgetting ----------------------------------------------------------------------------------------------------------

-- {id of a node: its version}, in one transaction. One that has changed since, as when it spoke again, is left.
create or replace function registry_forget_nodes(
    nodes jsonb, known_revision bigint, actor text default null, origin text default null, known_entry bigint default null)
returns json
language plpgsql set search_path from current
as $$
declare
    names text[];
    deployments integer;
begin
    perform set_config('registry.actor', coalesce(actor, ''), true), set_config('registry.origin', coalesce(origin, ''), true), registry_lock();
    if not registry_follows(known_revision, known_entry) then
        raise exception 'the registry was restored from a backup since revision %', known_revision using errcode = 'MR412';
    end if;
    select array_agg(n.node_id::text) into names
    from jsonb_each_text(nodes) w join gpu_nodes n on n.id = w.key::uuid and n.version = w.value::integer;
    delete from model_deployments d where d.node_id = any (names);
    get diagnostics deployments = row_count;
    delete from gpu_nodes n where n.node_id = any (names);
    return registry_with(registry_changes_since(known_revision, known_entry), json_build_object(
        'nodes', coalesce(cardinality(names), 0), 'deployments', deployments));
end
$$;
comment on function registry_forget_nodes is 'Forgets nodes and their deployments at once, those that are still of a version.';

-- Routes that went away -----------------------------------------------------------------------------------------------

-- The other columns of a deployment come from one event; left_at and left_before_at come from what events did to the row.
create or replace function deployment_left() returns trigger
language plpgsql set search_path from current
as $$
declare
    fixed text;
begin
    if new.status = 'loaded' then
        select n.endpoint into fixed from gpu_nodes n where n.node_id = new.node_id;
        if coalesce(old.endpoint, fixed) is null or coalesce(old.endpoint, fixed) = coalesce(new.endpoint, fixed) then
            return new;
        end if;
    end if;
    new.left_before_at := old.left_at;
    new.left_at := now();
    return new;
end
$$;

-- Also a node can take its routes elsewhere: those of the deployments that have no address of their own. What an
-- administrator sets is no flapping.
create or replace function gpu_node_moved() returns trigger
language plpgsql set search_path from current
as $$
begin
    update model_deployments d set left_before_at = d.left_at, left_at = now()
    where d.node_id = new.node_id and d.status = 'loaded' and d.endpoint is null
      and d.updated_at < now();  -- not what has just come back, there
    return null;
end
$$;

-- For people ----------------------------------------------------------------------------------------------------------

create or replace function registry_heartbeats() returns json
language sql stable set search_path from current
as $$
    select json_build_object(
        'fleet', (select to_json(f) from fleet_watch f),
        'nodes', coalesce((
            select json_object_agg(n.node_id, json_build_object(
                'last_seen_at', n.last_seen_at, 'vram_used_mb', n.vram_used_mb, 'vram_free_mb', n.vram_free_mb))
            from gpu_nodes n), '{}'),
        'sources', coalesce((
            select json_object_agg(t.source_id, json_build_object(
                'asked_at', t.asked_at, 'good_at', t.good_at, 'next_at', t.next_at,
                'asking', t.claimed_until is not null and t.claimed_until > clock_timestamp()))
            from source_turns t), '{}'))
$$;
comment on function registry_heartbeats is 'What moves on every node without being a change, and how well the fleet is heard.';

create or replace function registry_rejected_events(page_size integer, page_offset integer) returns json
language sql stable set search_path from current
as $$
    select json_build_object(
        'items', coalesce((
            select json_agg(p order by p.id desc)
            from (select * from rejected_events order by id desc limit page_size offset page_offset) p), '[]'),
        'count', (select count(*) from rejected_events))
$$;
comment on function registry_rejected_events is 'Messages of nodes that were rejected, newest first.';
