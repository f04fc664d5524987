-- Merging what nodes say into the rows of deployments and nodes.
--
-- The rule. A status message speaks of every deployment of its node: it is one event for each that it lists, and for
-- each that it does not list it is an event that says "unloaded" and nothing else, which loses against any other of the
-- same time. Of each deployment the newest event decides; at the same time the later stage of a model's life; then the
-- content. That is a maximum, so order and repeats do not matter.
--
-- How it is kept. Not one row is written for a status message that lists what the one before listed: of gpu_nodes only
-- status_at moves. So the time of a deployment is greatest(event_at, status_at of its node), and a row with
-- event_at < status_at says what the node's newest status message says of it: unloaded and empty when it is not listed.
-- A deployment that is first heard of through an event older than status_at was not listed then: it is unloaded.
--
-- A lost node that says something newer than all before is there, whenever NATS got it: last_seen_at is by another
-- clock where the node was reported over HTTP. What is delivered again is never newer.

-- Where two events carry the same time, the later stage of a model's life wins: a model is loaded before it is unloaded.
create or replace function deployment_stage(status text) returns integer
language sql immutable parallel safe
as $$ select array_position(array['lost', 'loading', 'loaded', 'error', 'unloaded'], status) $$;

-- And where that is the same too, what is left decides: any total order will do, null and '' kept apart. What a node need
-- not say comes last.
create or replace function deployment_rest(vram_mb integer, endpoint text, error_message text, loaded_at timestamptz, metadata jsonb) returns jsonb
language sql stable parallel safe
as $$ select jsonb_build_array(vram_mb, endpoint, error_message, metadata, extract(epoch from loaded_at)) $$;

-- `plans` is never read. PL/pgSQL makes and keeps plans for each type of a polymorphic argument, so that those made under
-- the settings of one of the two callers below never serve the other.
create or replace function registry_merge(
    events jsonb, statuses jsonb, heard jsonb, most_deployments integer, moment timestamptz, plans anyelement)
returns jsonb
language plpgsql set search_path from current
as $$
#variable_conflict use_column
declare
    refused jsonb;
begin
    with newest as (
        select distinct on (s.node_id) s.*
        from jsonb_to_recordset(statuses) as s (
            node_id text, digest text, said_at timestamptz, vram_total_mb integer, vram_used_mb integer,
            vram_free_mb integer, endpoint text, gpus jsonb, listed jsonb)
        where s.listed is not null
        order by s.node_id, s.said_at desc, s.digest desc
    ), node as (
        -- new_at: up to when a status message has spoken of everything on it, this batch included.
        select h.key as node_id, h.value::timestamptz as received_at, n.status_at as old_at,
               greatest(n.status_at, s.said_at) as new_at, n.node_id is null as unknown,
               n.status = 'lost' and h.value::timestamptz <= n.last_seen_at and s.said_at > n.status_at is not true as still_lost,
               s.node_id is not null or n.status = 'lost' as speaks
        from jsonb_each_text(heard) h
        left join gpu_nodes n on n.node_id = h.key
        left join newest s on s.node_id = h.key
    ), reported as (
        select e.node_id, e.provider_type, e.announced_model, e.model_id, e.status, e.vram_allocated_mb, e.endpoint,
               e.error_message, case when e.status = 'loaded' then coalesce(e.loaded_at, e.event_at) end as loaded_at,
               e.event_at, coalesce(e.metadata, '{}') as metadata, false as listed, false as since_unsaid
        from jsonb_to_recordset(events) as e (
            node_id text, provider_type text, announced_model text, model_id uuid, status text, vram_allocated_mb integer,
            endpoint text, error_message text, loaded_at timestamptz, event_at timestamptz, metadata jsonb)
        union all
        select s.node_id, m.provider_type, m.announced_model, null, m.status, m.vram_allocated_mb, m.endpoint,
               m.error_message, case when m.status = 'loaded' then coalesce(m.loaded_at, s.said_at) end,
               s.said_at, coalesce(m.metadata, '{}'), true, m.loaded_at is null
        from jsonb_to_recordset(statuses) as s (node_id text, said_at timestamptz, listed jsonb)
        cross join jsonb_to_recordset(coalesce(s.listed, '[]')) as m (
            provider_type text, announced_model text, status text, vram_allocated_mb integer, endpoint text,
            error_message text, loaded_at timestamptz, metadata jsonb)
        where m.status is not null
    ), unclear as (
        -- Listed by the newest message, but nobody can say as what: of these it does not speak.
        select s.node_id, m.provider_type, m.announced_model
        from newest s cross join jsonb_to_recordset(s.listed) as m (provider_type text, announced_model text, status text)
        where m.status is null
    ), winner as (
        select distinct on (s.node_id, s.provider_type, s.announced_model)
               s.node_id, s.provider_type, s.announced_model, s.model_id, s.vram_allocated_mb, s.endpoint, s.error_message,
               s.loaded_at, s.event_at, s.metadata, s.listed, s.since_unsaid, n.old_at, spoken.new_at,
               case when n.still_lost and s.status in ('loading', 'loaded') then 'lost' else s.status end as status,
               s.event_at < spoken.new_at is true as outdated
        from reported s
        join node n on n.node_id = s.node_id
        left join unclear u
            on u.node_id = s.node_id and u.provider_type = s.provider_type and u.announced_model = s.announced_model
        cross join lateral (select case when u.node_id is null then n.new_at else n.old_at end as new_at) as spoken
        order by s.node_id, s.provider_type, s.announced_model, s.event_at desc, deployment_stage(s.status) desc,
            deployment_rest(s.vram_allocated_mb, s.endpoint, s.error_message, s.loaded_at, s.metadata) desc
    ), compared as (
        select w.*, d.id as row_id,
               -- Whether it wins against what the row says, and was: see the rule.
               not w.outdated and (was.at < w.event_at or was.at = w.event_at and (was.stage < was.new_stage or was.stage = was.new_stage
                   and deployment_rest(d.vram_allocated_mb, d.endpoint, d.error_message, d.loaded_at, d.metadata)
                       < deployment_rest(w.vram_allocated_mb, w.endpoint, w.error_message, w.loaded_at, w.metadata))) as wins,
               -- Listed again as it is: nothing is written.
               w.listed and d.event_at < w.new_at and d.status = w.status
                   and d.vram_allocated_mb is not distinct from w.vram_allocated_mb
                   and d.endpoint is not distinct from w.endpoint and d.error_message is not distinct from w.error_message
                   and d.metadata = w.metadata
                   and (w.since_unsaid or d.loaded_at is not distinct from w.loaded_at) as is_known
        from winner w
        left join model_deployments d
            on d.node_id = w.node_id and d.provider_type = w.provider_type and d.announced_model = w.announced_model
        cross join lateral (select
            case when d.event_at < w.new_at is not true then d.event_at when w.new_at = w.old_at then w.new_at else '-infinity' end as at,
            case when d.event_at < w.new_at and d.status = 'unloaded' then 0 else deployment_stage(d.status) end as stage,
            deployment_stage(w.status) as new_stage) as was
    ), missing as (
        select c.*, row_number() over (partition by c.node_id order by c.event_at, c.provider_type, c.announced_model) as place
        from compared c where c.row_id is null
    ), crowded as (
        select m.node_id, most_deployments - (select count(*) from model_deployments d where d.node_id = m.node_id) as room
        from missing m where most_deployments is not null group by m.node_id
    ), made as (
        insert into model_deployments (
            node_id, provider_type, announced_model, model_id, status, vram_allocated_mb, endpoint, error_message,
            loaded_at, event_at, metadata)
        select m.node_id, m.provider_type, m.announced_model,
               m.model_id, -- where it is null, a trigger finds it
               case when m.outdated then 'unloaded' else m.status end,
               case when not m.outdated then m.vram_allocated_mb end, case when not m.outdated then m.endpoint end,
               case when not m.outdated then m.error_message end, case when not m.outdated then m.loaded_at end,
               m.event_at, case when m.outdated then '{}' else m.metadata end
        from missing m left join crowded c on c.node_id = m.node_id
        where m.place <= coalesce(c.room, m.place)
    ), changed as (
        update model_deployments d set
            -- Without one, the link stays: triggers of the catalogue keep it right.
            model_id = coalesce(c.model_id, d.model_id), model_given = d.model_given or c.model_id is not null, status = c.status, vram_allocated_mb = c.vram_allocated_mb, endpoint = c.endpoint,
            error_message = c.error_message, event_at = c.event_at, metadata = c.metadata,
            loaded_at = case when c.since_unsaid and c.status = 'loaded' and d.status in ('loaded', 'lost')
                             then coalesce(d.loaded_at, c.loaded_at) else c.loaded_at end
        from compared c
        where d.id = c.row_id and c.wins and not c.is_known
    ), unlisted as (
        update model_deployments d set
            status = 'unloaded', vram_allocated_mb = null, endpoint = null, error_message = null, loaded_at = null, metadata = '{}'
        from node n
        where d.node_id = n.node_id and n.new_at is distinct from n.old_at and d.event_at < n.new_at
          and (d.status <> 'unloaded' or num_nonnulls(d.vram_allocated_mb, d.endpoint, d.error_message, d.loaded_at) > 0 or d.metadata <> '{}')
          and not exists (select from compared c where c.row_id = d.id and not c.outdated)
          and not exists (
            select from unclear u
            where u.node_id = d.node_id and u.provider_type = d.provider_type and u.announced_model = d.announced_model)
    ), met as (
        insert into gpu_nodes (
            node_id, last_seen_at, heard_at, status_at, vram_total_mb, vram_used_mb, vram_free_mb, endpoint,
            announced_endpoint, metadata)
        select n.node_id, n.received_at, moment, s.said_at, s.vram_total_mb, s.vram_used_mb, s.vram_free_mb, s.endpoint,
               s.endpoint, case when s.gpus is null then '{}' else jsonb_build_object('gpus', s.gpus) end
        from node n left join newest s on s.node_id = n.node_id
        where n.unknown
    ), passing as (
        update gpu_nodes g set
            last_seen_at = greatest(g.last_seen_at, n.received_at), heard_at = moment, status_digest = null
        from node n
        where g.node_id = n.node_id and not n.speaks
          -- Of a node that says much, four times a second is enough.
          and (g.status_digest is not null or g.heard_at < moment - interval '0.25 s' is not false
               or n.received_at >= g.last_seen_at + interval '0.25 s' is not false)
    ), speaking as (
        update gpu_nodes g set
            last_seen_at = greatest(g.last_seen_at, n.received_at), heard_at = moment, status_digest = null,
            status = case when n.still_lost then 'lost' else 'ready' end,
            lost_at = case when n.still_lost then g.lost_at end,
            status_at = n.new_at,
            vram_used_mb = case when is_newer then s.vram_used_mb else g.vram_used_mb end,
            vram_free_mb = case when is_newer then s.vram_free_mb else g.vram_free_mb end,
            vram_total_mb = case when is_newer then s.vram_total_mb else g.vram_total_mb end,
            announced_endpoint = case when is_newer then s.endpoint else g.announced_endpoint end,
            endpoint = case when is_newer and g.endpoint is not distinct from g.announced_endpoint then s.endpoint else g.endpoint end,
            metadata = case when not is_newer then g.metadata when s.gpus is null then g.metadata - 'gpus'
                            else g.metadata || jsonb_build_object('gpus', s.gpus) end
        from node n
        left join newest s on s.node_id = n.node_id
        cross join lateral (select s.node_id is not null and (
            s.said_at > n.old_at is not false
            or s.said_at = n.old_at and jsonb_build_array(s.vram_total_mb, s.endpoint, s.gpus) > (
                select jsonb_build_array(o.vram_total_mb, o.announced_endpoint, o.metadata -> 'gpus') from gpu_nodes o where o.node_id = n.node_id)
            ) as is_newer) as own
        where g.node_id = n.node_id and n.speaks
    )
    select coalesce(jsonb_agg(jsonb_build_array(m.node_id, m.provider_type, m.announced_model)), '[]') into refused
    from missing m join crowded c on c.node_id = m.node_id where m.place > c.room;
    return refused;
end
$$;
comment on function registry_merge is 'Takes events and whole status messages, by the rule. Answers the deployments that nodes have no room for.';

-- Of a few events the rows are looked up one by one; of many, tables are read whole and joined. A plan is made once and
-- kept, and cannot know which of the two it will be, so each has its own.
create or replace function registry_merge_few_events(events jsonb, statuses jsonb, heard jsonb, most_deployments integer, moment timestamptz)
returns jsonb
language plpgsql set search_path from current set enable_seqscan to off set enable_hashjoin to off set enable_mergejoin to off
as $$ begin return registry_merge(events, statuses, heard, most_deployments, moment, 'few'::text); end $$;
comment on function registry_merge_few_events is 'registry_merge, with plans for a few rows.';

create or replace function registry_merge_events(events jsonb, statuses jsonb, heard jsonb, most_deployments integer, moment timestamptz)
returns jsonb
language plpgsql set search_path from current
as $$
declare
    number bigint := jsonb_array_length(events) + coalesce((
        select sum(jsonb_array_length(s -> 'listed')) from jsonb_array_elements(statuses) s
        where jsonb_typeof(s -> 'listed') = 'array'), 0);
begin
    if number <= 50 then
        return registry_merge_few_events(events, statuses, heard, most_deployments, moment);
    end if;
    return registry_merge(events, statuses, heard, most_deployments, moment, 'many'::varchar);
end
$$;
comment on function registry_merge_events is 'registry_merge, with the plans that suit the number of events.';
