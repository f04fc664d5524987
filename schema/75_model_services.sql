-- Instances of model services: renewed, or gone.

-- Registrants renew their instances, and replicas those that they are sending requests to; it is no change. An instance is
-- gone when it has not been renewed for its time to live *while the registry could receive that*: whenever nobody has called
-- this for more than a gap, because the database or all replicas were away, silence counts anew from there. A replica passes
-- renewals on up to a gap later, so a gap is allowed for. Only this database's clock counts; when it has been set back,
-- nobody counts as renewed at a time that is yet to come.
--
-- A replica that takes no renewals, because it only dispatches, has no gap (null): it renews what it uses, and nobody is
-- silent because of it. What is retired goes as soon as no replica has renewed it for `retired_seconds`, and no job is on its
-- way there: between the requests of a job, nothing is in flight.
create or replace function registry_renew_instances(
    renewed jsonb, gap_seconds double precision, retired_seconds double precision,
    known_revision bigint, actor text default null, origin text default null, clock timestamptz default null,
    known_entry bigint default null)
returns json
language plpgsql set search_path from current
as $$
declare
    moment timestamptz := coalesce(clock, clock_timestamp());
    watch fleet_watch;
    silent uuid[];
begin
    perform set_config('registry.actor', coalesce(actor, ''), true), set_config('registry.origin', coalesce(origin, ''), true);
    if jsonb_array_length(renewed) > 0 then
        update service_instances i set renewed_at = moment
        where i.service_id in (select jsonb_array_elements_text(renewed)) and i.renewed_at < moment;
    end if;
    -- One replica at a time; the others have nothing to do.
    if gap_seconds is not null and pg_try_advisory_xact_lock(7366113290413) then
        select * into watch from fleet_watch;
        if watch.instances_renewed_at > moment then
            watch.instances_renewed_at := null;
            update service_instances i set renewed_at = moment where i.renewed_at > moment;
        end if;
        if watch.instances_renewed_at is null or moment > watch.instances_renewed_at + make_interval(secs => gap_seconds) then
            watch.instances_watched_since := moment;
        end if;
        select array_agg(i.id) into silent from service_instances i
        where greatest(i.renewed_at, watch.instances_watched_since) < moment - make_interval(secs => case
            when i.status = 'retired' then retired_seconds else i.ttl_seconds + gap_seconds end)
          and (i.status <> 'retired' or not registry_has_job(i.service_id));
        if silent is not null then
            perform registry_lock();
            -- Looked at again: one may have been renewed while we waited for the lock.
            delete from service_instances i
            where i.id = any (silent) and greatest(i.renewed_at, watch.instances_watched_since) < moment - make_interval(secs => case
                when i.status = 'retired' then retired_seconds else i.ttl_seconds + gap_seconds end)
              and (i.status <> 'retired' or not registry_has_job(i.service_id));
        end if;
        -- Last, as in registry_expire_nodes: who waits for the lock while holding this row would wait for ever.
        update fleet_watch f set instances_renewed_at = moment, instances_watched_since = watch.instances_watched_since;
    end if;
    return registry_changes_since(known_revision, known_entry);
end
$$;
comment on function registry_renew_instances is 'Renews instances, and deletes those that were not for longer than their time to live, or are retired and unused.';

create or replace function registry_has_job(instance text) returns boolean
language sql stable set search_path from current
as $$
    select exists (
        select from service_jobs j where j.finished_at is null and j.phase <> 'queued' and j.service_id = instance)
$$;
comment on function registry_has_job is 'Whether a job that has not ended was sent to an instance.';
