-- Sources: whose turn it is, on one replica of several.

-- Claims sources that are due, or (only_source) one of them whether due or not. The next turn is set at once: when the
-- replica dies, its claims end and the sources are asked again. kinds: kind -> {"interval", "timeout"}, the seconds of
-- sources without their own; a claim lasts for the timeout and the margin. The interval is a tenth more or less, so that a
-- thousand sources made together are not always asked together.
create or replace function registry_claim_sources(
    claimer text, most integer, margin_seconds double precision, kinds jsonb, only_source uuid default null)
returns json
language plpgsql set search_path from current
as $$
declare
    moment timestamptz := clock_timestamp();
    claimed json;
begin
    insert into source_turns (source_id)
    select s.id from model_sources s where not exists (select from source_turns t where t.source_id = s.id)
    on conflict do nothing;

    with due as (
        select t.source_id, s.version,
               coalesce(s.interval_seconds, (kinds -> s.kind ->> 'interval')::double precision) as seconds,
               coalesce(s.options ->> 'timeout_seconds', kinds -> s.kind ->> 'timeout')::double precision as timeout
        from source_turns t join model_sources s on s.id = t.source_id
        where case when only_source is null
                then s.active and (t.next_at <= moment or t.source_version is distinct from s.version)
                else t.source_id = only_source end
          and (t.claimed_until is null or t.claimed_until <= moment)
        order by t.next_at limit most for update of t skip locked
    ), taken as (
        update source_turns t set
            source_version = due.version, claimed_by = claimer,
            claimed_until = moment + make_interval(secs => due.timeout + margin_seconds),
            next_at = moment + make_interval(secs => due.seconds * (0.9 + 0.2 * random()))
        from due where t.source_id = due.source_id
        returning t.source_id, t.good_at
    )
    select coalesce(json_agg(json_build_object('id', source_id, 'good_at', good_at)), '[]') into claimed from taken;
    return claimed;
end
$$;
comment on function registry_claim_sources is 'Claims sources to be asked now: answers their ids, and when each last answered. Nobody else gets them until the lease ends.';

-- A claim that has passed to another replica meanwhile is left to it.
create or replace function registry_end_turns(claimer text, asked uuid[], good uuid[]) returns json
language sql volatile set search_path from current
as $$
    with ended as (
        update source_turns t set
            asked_at = clock_timestamp(), claimed_until = null, claimed_by = null,
            good_at = case when t.source_id = any (good) then clock_timestamp() else t.good_at end
        where t.source_id = any (asked) and t.claimed_by = claimer
        returning 1
    )
    select to_json(count(*)) from ended
$$;
comment on function registry_end_turns is 'Gives claimed sources back that were asked, some of them with a good answer.';
