-- The change log: what counts as a change, and how it is written down. The triggers that call these are in 85.

-- Writers take this lock before they touch a row, so revisions are handed out in commit order, and two
-- writers never wait for each other's rows in opposite orders. It is released by commit or rollback.
create or replace function registry_lock() returns void
language sql volatile
as $$ select pg_advisory_xact_lock(7366113290411) $$;

create or replace function registry_before_write() returns trigger
language plpgsql set search_path from current
as $$
begin
    perform registry_lock();
    return null;
end
$$;

-- TRUNCATE would empty a table without a trace: every replica would go on serving what is gone.
create or replace function registry_refuse_truncate() returns trigger
language plpgsql
as $$
begin
    raise exception 'TRUNCATE on % is refused: it leaves no trace in registry_changes. Use DELETE.', tg_table_name;
end
$$;

-- What may move without being a change: clocks and heartbeats. loaded_at is the time of the newest announcement, and
-- nodes repeat theirs every few seconds; with a change of status it is kept like any other column.
create or replace function registry_row_state(whole jsonb) returns jsonb
language sql immutable parallel safe
as $$ select whole - array['version', 'updated_at', 'last_seen_at', 'last_used_at', 'event_at', 'loaded_at', 'vram_used_mb', 'vram_free_mb', 'status_at', 'status_digest', 'heard_at', 'renewed_at', 'model_type_key'] $$;

-- The version of a row counts its changes; an update that changes nothing leaves it alone.
create or replace function registry_count_version() returns trigger
language plpgsql set search_path from current
as $$
begin
    if new.id <> old.id then
        raise exception 'the id of a row never changes: replicas know it by that. Delete the row and make another.';
    end if;
    -- As text: jsonb holds 1 and 1.0 for equal, a configuration does not.
    if registry_row_state(to_jsonb(new))::text = registry_row_state(to_jsonb(old))::text then
        new.version := old.version;
        new.updated_at := old.updated_at;
    else
        new.version := old.version + 1;
        new.updated_at := now();
    end if;
    return new;
end
$$;

-- What registry_count_version does, for a table that is written thousands of times a second: it compares columns, at a
-- fifth of the price. A column that is added to the table is added here, unless it may move without being a change, as what
-- its links are made from may (address, model_given).
create or replace function model_deployments_count_version() returns trigger
language plpgsql
as $$
begin
    if new.id <> old.id then
        raise exception 'the id of a row never changes: replicas know it by that. Delete the row and make another.';
    end if;
    if (new.status, new.vram_allocated_mb, new.model_id, new.model_ids, new.endpoint, new.error_message, new.left_at,
        new.left_before_at, new.node_id, new.provider_type, new.announced_model, new.created_at)
       is distinct from
       (old.status, old.vram_allocated_mb, old.model_id, old.model_ids, old.endpoint, old.error_message, old.left_at,
        old.left_before_at, old.node_id, old.provider_type, old.announced_model, old.created_at)
       or new.metadata::text <> old.metadata::text then
        new.version := old.version + 1;
        new.updated_at := now();
    else
        new.version := old.version;
        new.updated_at := old.updated_at;
    end if;
    return new;
end
$$;

create or replace function registry_actor() returns text
language sql stable
as $$
    select coalesce(
        nullif(current_setting('registry.actor', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role',
        session_user)
$$;

-- Statement triggers with transition tables: a bulk write costs one insert into the log, not one per row.
create or replace function registry_log_insert() returns trigger
language plpgsql set search_path from current
as $$
begin
    insert into registry_changes (revision, actor, origin, table_name, row_id, operation, after)
    select nextval('registry_revision'), registry_actor(), nullif(current_setting('registry.origin', true), ''),
           tg_table_name, n.id, 'insert', to_jsonb(n)
    from new_rows n;
    return null;
end
$$;

-- The state of a deployment before an update is not written down again: the log has it from the change before.
-- Nobody has statistics of what a statement changed: it must not be planned as if that were a row or two.
create or replace function registry_log_update() returns trigger
language plpgsql set search_path from current set enable_nestloop to off set enable_hashjoin to on
as $$
begin
    insert into registry_changes (revision, actor, origin, table_name, row_id, operation, before, after)
    select nextval('registry_revision'), registry_actor(), nullif(current_setting('registry.origin', true), ''),
           tg_table_name, n.id, 'update', case when tg_table_name <> 'model_deployments' then to_jsonb(o) end, to_jsonb(n)
    from new_rows n join old_rows o on o.id = n.id
    where n.version <> o.version;
    return null;
end
$$;

create or replace function registry_log_delete() returns trigger
language plpgsql set search_path from current
as $$
begin
    insert into registry_changes (revision, actor, origin, table_name, row_id, operation, before)
    select nextval('registry_revision'), registry_actor(), nullif(current_setting('registry.origin', true), ''),
           tg_table_name, o.id, 'delete', to_jsonb(o)
    from old_rows o;
    return null;
end
$$;

-- A revision is a number, and numbers are given twice: after a backup was restored, others write past the revision that a
-- replica remembers. So a revision that somebody knows counts together with the random id of its entry. Entries from before
-- there were ids are not rewritten, there may be millions: theirs is a digest of what no other entry of the same revision
-- shares, the time above all.
create or replace function registry_entry_id(entry registry_changes) returns bigint
language sql immutable parallel safe
as $$
    select coalesce(entry.entry_id, hashtextextended(
        extract(epoch from entry.at)::text || ' ' || coalesce(entry.transaction_id::text, '') || ' '
        || entry.row_id::text || ' ' || entry.operation, 0))
$$;
comment on function registry_entry_id is 'What tells an entry of the change log from another of the same revision.';
