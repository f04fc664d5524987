-- Instances of model services: who is heard of, and who is gone.

-- Registrants renew, and replicas hold what they are sending requests to: both are "heard of" here, and neither is a change.
-- An instance is gone when it has not been heard of for its time to live *while the registry could hear*: whenever nobody
-- has called this for more than a gap, because the database or all replicas were away, silence counts anew from there. A
-- replica tells what it heard up to a gap later, so a gap is allowed for. Only this database's clock counts; when it has been
-- set back, nobody counts as heard of at a time that is yet to come.
--
-- What is retired goes as soon as no replica has held it for `retired_seconds`.
create or replace function registry_hear_instances(
    heard jsonb, gap_seconds double precision, retired_seconds double precision,
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
    if jsonb_array_length(heard) > 0 then
        update service_instances i set renewed_at = moment
        where i.service_id in (select jsonb_array_elements_text(heard)) and i.renewed_at < moment;
    end if;
    -- One replica at a time; the others have nothing to do.
    if pg_try_advisory_xact_lock(7366113290413) then
        select * into watch from fleet_watch;
        if watch.instances_heard_at > moment then
            watch.instances_heard_at := null;
            update service_instances i set renewed_at = moment where i.renewed_at > moment;
        end if;
        if watch.instances_heard_at is null or moment > watch.instances_heard_at + make_interval(secs => gap_seconds) then
            watch.instances_heard_since := moment;
        end if;
        select array_agg(i.id) into silent from service_instances i
        where greatest(i.renewed_at, watch.instances_heard_since) < moment - make_interval(secs => case
            when i.status = 'retired' then retired_seconds else i.ttl_seconds + gap_seconds end);
        if silent is not null then
            perform registry_lock();
            -- Looked at again: one may have been heard of while we waited for the lock.
            delete from service_instances i
            where i.id = any (silent) and greatest(i.renewed_at, watch.instances_heard_since) < moment - make_interval(secs => case
                when i.status = 'retired' then retired_seconds else i.ttl_seconds + gap_seconds end);
        end if;
        -- Last, as in registry_expire_nodes: who waits for the lock while holding this row would wait for ever.
        update fleet_watch f set instances_heard_at = moment, instances_heard_since = watch.instances_heard_since;
    end if;
    return registry_changes_since(known_revision, known_entry);
end
$$;
comment on function registry_hear_instances is 'Notes which instances were heard of, and takes away those that are silent for longer than their time to live, or retired and unused.';
