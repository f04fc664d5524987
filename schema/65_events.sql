-- Recording what nodes say. How events and status messages are merged into rows is in 60.
--
-- In PL/pgSQL, with one plan for all calls: planning takes longer than recording a few messages.

-- What a status message that is not whole ("listed" is null) needs: its node is as in the message with this digest.
create or replace function registry_record_heartbeats(statuses jsonb, moment timestamptz) returns jsonb
language plpgsql set search_path from current set plan_cache_mode to force_generic_plan
as $$
declare
    unsettled jsonb;
begin
    with beat as (
        select distinct on (s.node_id, s.digest) s.*
        from jsonb_to_recordset(statuses) as s (
            node_id text, digest text, said_at timestamptz, received_at timestamptz, vram_used_mb integer,
            vram_free_mb integer, listed jsonb)
        where s.listed is null
        order by s.node_id, s.digest, s.said_at desc
    ), settled as (
        update gpu_nodes n set
            last_seen_at = greatest(n.last_seen_at, b.received_at), heard_at = moment,
            vram_used_mb = case when b.said_at >= n.status_at then b.vram_used_mb else n.vram_used_mb end,
            vram_free_mb = case when b.said_at >= n.status_at then b.vram_free_mb else n.vram_free_mb end,
            status_at = greatest(n.status_at, b.said_at)
        from beat b where n.node_id = b.node_id and n.status_digest = b.digest
        returning n.node_id, b.digest
    )
    select coalesce(jsonb_agg(distinct b.node_id), '[]') into unsettled from beat b
    where not exists (select from settled s where (s.node_id, s.digest) = (b.node_id, b.digest));
    return unsettled;
end
$$;
comment on function registry_record_heartbeats is 'Takes status messages that are not whole. Answers the nodes that are not as they say: theirs must come whole.';

-- Only where the node itself is as the message says: of two at the same time another may have won, and its heartbeats
-- would be taken for ones that say what the node's row says.
create or replace function registry_settle_statuses(statuses jsonb) returns void
language plpgsql set search_path from current set plan_cache_mode to force_generic_plan
as $$
begin
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
            end);
end
$$;
comment on function registry_settle_statuses is 'Remembers the digest of a node''s newest status message where its deployments are just what that lists.';

create or replace function registry_keep_rejected(rejected jsonb) returns void
language sql volatile set search_path from current
as $$
    insert into rejected_events (received_at, subject, reason, payload)
    select r.received_at, r.subject, r.reason, r.payload
    from jsonb_to_recordset(rejected) as r (received_at timestamptz, subject text, reason text, payload text)
    on conflict do nothing;
    delete from rejected_events where id <= (select id from rejected_events order by id desc offset 1000 limit 1)
$$;
comment on function registry_keep_rejected is 'Keeps why messages were rejected: the newest 1,000.';

-- Each node is looked up: with every event the table would be read from end to end, however few nodes speak.
create or replace function registry_crowded_nodes(heard jsonb, most_nodes integer) returns text[]
language plpgsql stable set search_path from current
    set enable_seqscan to off set enable_hashjoin to off set enable_mergejoin to off
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

-- Takes a batch of what nodes report, in one transaction:
--   events     [{"node_id", "provider_type", "announced_model", "model_id"?, "status", "vram_allocated_mb", "endpoint",
--              "error_message", "loaded_at", "event_at", "metadata"}]
--   statuses   [{"node_id", "digest", "said_at", "received_at", "vram_total_mb", "vram_used_mb", "vram_free_mb",
--              "endpoint", "gpus", "listed"}], listed being a list of events without node and time; an entry without a
--              status keeps what it names as it is. Without "listed": as in the message with that digest.
--   heard      {node_id: when NATS got its newest message}, each node of the events and the whole statuses
--   rejected   [{"received_at", "subject", "reason", "payload"}]
-- Answers the changes since a revision; with "unsettled", nodes whose statuses must come whole, "refused", the deployments
-- beyond most_deployments of a node, which are not kept, and "crowded", the nodes beyond most_nodes: nothing of them is kept.
create or replace function registry_record_events(
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
    perform set_config('registry.actor', coalesce(actor, ''), true), set_config('registry.origin', coalesce(origin, ''), true), registry_lock();
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
    return registry_with(known, json_build_object(
        'unsettled', unsettled, 'refused', refused, 'crowded', coalesce(to_jsonb(crowded), '[]')));
end
$$;
comment on function registry_record_events is 'Records what nodes report: events, status messages, and what could not be understood.';
