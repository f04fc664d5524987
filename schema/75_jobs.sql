-- Jobs: trainings that outlive the request for them. What a job's phases mean is in services/jobs/states.py.
--
-- A job has one owner, by a lease on this database's clock. Only the owner may change it, so a replica that lost its lease
-- finds that out before it sends anything: it records what it is about to send, and sends it only when that was recorded.

-- All but the request, which holds what callers configure.
create or replace function registry_job_row(job service_jobs, with_request boolean default false) returns jsonb
language sql stable set search_path from current
as $$ select case when with_request then to_jsonb(job) else to_jsonb(job) - 'request' end $$;
comment on function registry_job_row is 'A job as the service reads it.';

-- The newest 1,000 that ended are kept, with 256 MiB of answers at most.
create or replace function registry_trim_jobs() returns void
language sql volatile set search_path from current
as $$
    delete from service_jobs where id in (
        select e.id from (
            select id, row_number() over newest as position, sum(coalesce(octet_length(answer_body), 0)) over newest as bytes
            from service_jobs where finished_at is not null
            window newest as (order by finished_at desc, id rows unbounded preceding)) e
        where e.position > 1000 or e.bytes > 268435456)
$$;
comment on function registry_trim_jobs is 'Deletes jobs that ended, the oldest first, beyond a number and a size.';

-- Answers {"job", "created"}, or {"open"}, the number of jobs that have not ended, when there is no room for another. The
-- same job again, or another with the key of an earlier one, is answered with the one that there is.
create or replace function registry_create_job(job jsonb, caller text, lease_seconds double precision, most_open integer) returns jsonb
language plpgsql set search_path from current
as $$
declare
    given service_jobs := jsonb_populate_record(null::service_jobs, job);
    stored service_jobs;
    unfinished integer;
begin
    -- One at a time: the number of open jobs is exact, and of two with one key the second finds the first.
    perform pg_advisory_xact_lock(7366113290414);
    select * into stored from service_jobs j
    where j.id = given.id or (j.created_by, j.idempotency_key) = (given.created_by, given.idempotency_key);
    if found then
        return jsonb_build_object('job', registry_job_row(stored, true), 'created', false);
    end if;
    if given.phase in ('succeeded', 'failed', 'unknown', 'cancelled') then  -- it ran while this database was away
        given.finished_at := coalesce(given.finished_at, clock_timestamp());
        given.request := null;
    else
        select count(*) into unfinished from service_jobs where finished_at is null;
        if unfinished >= most_open then
            return jsonb_build_object('open', unfinished);
        end if;
        given.lease_until := clock_timestamp() + make_interval(secs => lease_seconds);
    end if;
    given.version := coalesce(given.version, 1);
    given.created_at := coalesce(given.created_at, clock_timestamp());
    given.owner := caller;
    insert into service_jobs select given.* returning * into stored;
    perform registry_trim_jobs();
    return jsonb_build_object('job', registry_job_row(stored, true), 'created', true);
end
$$;
comment on function registry_create_job is 'Records a job, owned by the caller.';

-- Null when the caller is not its owner: it has been taken over, cancelled, or is gone. The replica that sent a request may
-- still report how it ended when the others have given it up as unknown.
create or replace function registry_update_job(job_id uuid, caller text, changes jsonb, lease_seconds double precision) returns jsonb
language plpgsql set search_path from current
as $$
declare
    stored service_jobs;
    changed service_jobs;
begin
    select * into stored from service_jobs j
    where j.id = job_id and (
        j.finished_at is null and j.owner = caller
        or j.phase = 'unknown' and j.sender = caller and changes ->> 'phase' in ('succeeded', 'failed'))
    for update;
    if not found then
        return null;
    end if;
    changed := jsonb_populate_record(stored, changes - array['id', 'owner', 'created_by', 'created_at', 'version', 'lease_until']);
    if changed.phase in ('succeeded', 'failed', 'unknown', 'cancelled') then
        changed.finished_at := clock_timestamp();
        changed.request := null;
        changed.lease_until := null;
    else
        changed.lease_until := clock_timestamp() + make_interval(secs => lease_seconds);
    end if;
    changed.version := greatest(stored.version + 1, (changes ->> 'version')::integer);
    update service_jobs j set
        (model_name, phase, training_flow, service_id, request, progress, detail, error, answer, answer_body, sender, lease_until,
         version, started_at, finished_at) =
        (changed.model_name, changed.phase, changed.training_flow, changed.service_id, changed.request, changed.progress, changed.detail, changed.error,
         changed.answer, changed.answer_body, changed.sender, changed.lease_until, changed.version, changed.started_at, changed.finished_at)
    where j.id = job_id
    returning * into stored;
    if stored.finished_at is not null then
        perform registry_trim_jobs();
    end if;
    return registry_job_row(stored);
end
$$;
comment on function registry_update_job is 'Records how far a job is, and keeps it for its owner.';

create or replace function registry_renew_jobs(job_ids uuid[], caller text, lease_seconds double precision) returns jsonb
language sql volatile set search_path from current
as $$
    with renewed as (
        update service_jobs j set lease_until = clock_timestamp() + make_interval(secs => lease_seconds)
        where j.id = any (job_ids) and j.owner = caller and j.finished_at is null
        returning j.id)
    select coalesce(jsonb_agg(id), '[]') from renewed
$$;
comment on function registry_renew_jobs is 'Keeps jobs for their owner. Answers those that are still its own.';

create or replace function registry_claim_jobs(caller text, lease_seconds double precision, most integer) returns jsonb
language sql volatile set search_path from current
as $$
    with claimed as (
        update service_jobs j set
            owner = caller, version = j.version + 1, lease_until = clock_timestamp() + make_interval(secs => lease_seconds)
        where j.id in (
            select o.id from service_jobs o
            where o.finished_at is null and (o.lease_until is null or o.lease_until < clock_timestamp())
            order by o.created_at, o.id limit most for update skip locked)
        returning j)
    select coalesce(jsonb_agg(registry_job_row(c.j, true)), '[]') from claimed c
$$;
comment on function registry_claim_jobs is 'Takes over jobs whose owner is gone.';

create or replace function registry_release_jobs(caller text) returns integer
language sql volatile set search_path from current
as $$
    with released as (update service_jobs set lease_until = null where owner = caller and finished_at is null returning id)
    select count(*)::integer from released
$$;
comment on function registry_release_jobs is 'Lets others take over at once what the caller owns: it is about to stop.';

-- What is being trained cannot be stopped from here; what has not been sent is.
create or replace function registry_cancel_job(job_id uuid, reason text) returns jsonb
language sql volatile set search_path from current
as $$
    with cancelled as (
        update service_jobs j set
            phase = 'cancelled', detail = reason, finished_at = clock_timestamp(), request = null, lease_until = null,
            version = j.version + 1
        where j.id = job_id and j.phase in ('queued', 'preparation_sent', 'preparing', 'prepared')
        returning j)
    select coalesce(
        (select registry_job_row(c.j) from cancelled c), (select registry_job_row(j) from service_jobs j where j.id = job_id))
$$;
comment on function registry_cancel_job is 'Ends a job whose training was not sent. Answers the job as it is then; null when there is none.';

create or replace function registry_jobs_by_id(job_ids uuid[]) returns jsonb
language sql stable set search_path from current
as $$ select coalesce(jsonb_agg(registry_job_row(j)), '[]') from service_jobs j where j.id = any (job_ids) $$;
comment on function registry_jobs_by_id is 'These jobs, as far as there are any.';

-- Newest first, without answers. model_types are in small letters. Null: any.
create or replace function registry_jobs(
    model_types text[], phases text[], page_size integer, page_offset integer) returns jsonb
language sql stable set search_path from current
as $$
    with fitting as (
        select * from service_jobs j
        where (model_types is null or lower(j.model_type) = any (model_types)) and (phases is null or j.phase = any (phases)))
    select jsonb_build_object(
        'items', coalesce((
            select jsonb_agg(registry_job_row(p) - 'answer_body' order by p.created_at desc, p.id desc)
            from (select * from fitting order by created_at desc, id desc limit page_size offset page_offset) p), '[]'),
        'count', (select count(*) from fitting))
$$;
comment on function registry_jobs is 'A page of the jobs, newest first, with the number of all.';
