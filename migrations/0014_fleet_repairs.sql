-- depends: 0013_single_writes

-- As before, but when the clock has been set back, no node counts as heard at a time that is yet to come: one that fell
-- silent would not be lost until the clock was there again.
create or replace function registry_expire_nodes(
    heard_through timestamptz, silent_seconds double precision, gap_seconds double precision,
    known_revision bigint, actor text default null, origin text default null, clock timestamptz default null)
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
    known := registry_changes_since(known_revision);
    return json_build_object(
        'registry_id', known -> 'registry_id', 'revision', known -> 'revision', 'changes', known -> 'changes',
        'at', moment, 'fleet', (select to_json(f) from fleet_watch f));
end
$$;
-- As before, but only where the node itself is as the message says: of two at the same time another may have won, and its
-- heartbeats would be taken for ones that say what the node's row says.
create or replace function registry_settle_statuses(statuses jsonb) returns void
language sql volatile set search_path from current
as $$
    update gpu_nodes n set status_digest = s.digest
    from (
        select distinct on (w.node_id) w.*
        from jsonb_to_recordset(statuses) as w (
            node_id text, digest text, said_at timestamptz, vram_total_mb integer, endpoint text, gpus jsonb, listed jsonb)
        where w.listed is not null
        order by w.node_id, w.said_at desc, w.digest desc) s
    where n.node_id = s.node_id and n.status_at = s.said_at and n.status = 'ready'
      and (n.vram_total_mb, n.announced_endpoint, n.metadata -> 'gpus')
          is not distinct from (s.vram_total_mb, s.endpoint, s.gpus)
      and not exists (
        select from (select * from model_deployments o where o.node_id = s.node_id) d
        full join jsonb_to_recordset(s.listed) as m (
            provider_type text, announced_model text, status text, vram_allocated_mb integer, endpoint text,
            error_message text, loaded_at timestamptz, metadata jsonb)
            on m.provider_type = d.provider_type and m.announced_model = d.announced_model
        where case
            when m.announced_model is null then
                d.status <> 'unloaded' or d.metadata <> '{}'
                or num_nonnulls(d.vram_allocated_mb, d.endpoint, d.error_message, d.loaded_at) > 0
            when m.status is null then false
            else d.id is null or d.status <> m.status
                or d.vram_allocated_mb is distinct from m.vram_allocated_mb or d.endpoint is distinct from m.endpoint
                or d.error_message is distinct from m.error_message or d.metadata <> coalesce(m.metadata, '{}')
                or m.status = 'loaded' and d.loaded_at <> m.loaded_at is true
            end)
$$;

-- Also a node can take its routes elsewhere: those of the deployments that have no address of their own. What an
-- administrator sets is no flapping.
create function gpu_node_moved() returns trigger
language plpgsql set search_path from current
as $$
begin
    update model_deployments d set left_before_at = d.left_at, left_at = now()
    where d.node_id = new.node_id and d.status = 'loaded' and d.endpoint is null
      and d.updated_at < now();  -- not what has just come back, there
    return null;
end
$$;
create trigger m_moved after update of endpoint on gpu_nodes
    for each row when (old.endpoint is not null and new.endpoint is distinct from old.endpoint
                       and new.announced_endpoint is distinct from old.announced_endpoint)
    execute function gpu_node_moved();

revoke execute on function gpu_node_moved() from public;
grant execute on function gpu_node_moved() to service_role;

-- A lost node that says something newer than all it said before is there, whenever NATS got it: last_seen_at is by another
-- clock where the node was reported over HTTP. What is delivered again is never newer. Both functions have the same text.
do $$
declare
    merging text;
    definition text;
    old_rule text := 'h.value::timestamptz <= n.last_seen_at as still_lost';
    new_rule text := 'h.value::timestamptz <= n.last_seen_at and s.said_at > n.status_at is not true as still_lost';
begin
    foreach merging in array array['registry_merge_many_events', 'registry_merge_few_events'] loop
        definition := pg_get_functiondef((merging || '(jsonb, jsonb, jsonb, integer, timestamptz)')::regprocedure);
        if position(old_rule in definition) = 0 then
            raise exception '% is not as 0012 made it', merging;
        end if;
        execute replace(definition, old_rule, new_rule);
    end loop;
end
$$;

notify pgrst, 'reload schema';
