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
notify pgrst, 'reload schema';
