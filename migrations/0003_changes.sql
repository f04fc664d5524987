-- depends: 0002_tables

-- Which database this is. A snapshot on a service's disk that came from another one must not be brought forward.
create table registry_identity (
    id uuid primary key default gen_random_uuid(),
    only_row boolean not null default true,
    constraint registry_identity_only_row_key unique (only_row),
    constraint registry_identity_only_row check (only_row)
);
insert into registry_identity default values;
comment on table registry_identity is 'One row: the identity of this registry.';

create sequence registry_revision as bigint;

create table registry_changes (
    revision bigint primary key,
    at timestamptz not null default clock_timestamp(),
    actor text not null,
    origin text,
    table_name text not null,
    row_id uuid not null,
    operation text not null,
    before jsonb,
    after jsonb,
    constraint registry_changes_operation_known check (operation in ('insert', 'update', 'delete'))
);
create index registry_changes_row_idx on registry_changes (table_name, row_id, revision);
comment on table registry_changes is 'Every committed change, in commit order. Snapshots are brought forward with it.';
comment on column registry_changes.actor is 'Who asked for it: an API key''s name, a command, or the database role.';
comment on column registry_changes.origin is 'The service instance that made the change and announces it; null for changes made in SQL.';

-- Writers take this lock before they touch a row, so revisions are handed out in commit order, and two
-- writers never wait for each other's rows in opposite orders. It is released by commit or rollback.
create function registry_lock() returns void
language sql volatile
as $$ select pg_advisory_xact_lock(7366113290411) $$;

create function registry_before_write() returns trigger
language plpgsql set search_path from current
as $$
begin
    perform registry_lock();
    return null;
end
$$;

-- What may move without being a change: clocks and heartbeats. loaded_at is the time of the newest announcement, and
-- nodes repeat theirs every few seconds; with a change of status it is kept like any other column.
create function registry_row_state(whole jsonb) returns jsonb
language sql immutable parallel safe
as $$ select whole - array['version', 'updated_at', 'last_seen_at', 'last_used_at', 'event_at', 'loaded_at', 'vram_used_mb', 'vram_free_mb'] $$;

-- The version of a row counts its changes; an update that changes nothing leaves it alone.
create function registry_count_version() returns trigger
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

create function registry_actor() returns text
language sql stable
as $$
    select coalesce(
        nullif(current_setting('registry.actor', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role',
        session_user)
$$;

-- Statement triggers with transition tables: a bulk write costs one insert into the log, not one per row.
create function registry_log_insert() returns trigger
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

create function registry_log_update() returns trigger
language plpgsql set search_path from current
as $$
begin
    insert into registry_changes (revision, actor, origin, table_name, row_id, operation, before, after)
    select nextval('registry_revision'), registry_actor(), nullif(current_setting('registry.origin', true), ''),
           tg_table_name, n.id, 'update', to_jsonb(o), to_jsonb(n)
    from new_rows n join old_rows o on o.id = n.id
    where n.version <> o.version;
    return null;
end
$$;

create function registry_log_delete() returns trigger
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

-- TRUNCATE would empty a table without a trace: every replica would go on serving what is gone.
create function registry_refuse_truncate() returns trigger
language plpgsql
as $$
begin
    raise exception 'TRUNCATE on % is refused: it leaves no trace in registry_changes. Use DELETE.', tg_table_name;
end
$$;

do $$
declare
    tracked text;
begin
    foreach tracked in array array[
        'model_providers', 'models', 'model_aliases', 'functions', 'service_model_mappings',
        'model_deployments', 'gpu_nodes', 'config_sections', 'config_files', 'api_keys']
    loop
        execute format('create trigger a_lock before insert or update or delete on %I for each statement execute function registry_before_write()', tracked);
        execute format('create trigger z_version before update on %I for each row execute function registry_count_version()', tracked);
        execute format('create trigger z_log_insert after insert on %I referencing new table as new_rows for each statement execute function registry_log_insert()', tracked);
        execute format('create trigger z_log_update after update on %I referencing old table as old_rows new table as new_rows for each statement execute function registry_log_update()', tracked);
        execute format('create trigger z_log_delete after delete on %I referencing old table as old_rows for each statement execute function registry_log_delete()', tracked);
        execute format('create trigger a_refuse_truncate before truncate on %I for each statement execute function registry_refuse_truncate()', tracked);
    end loop;
end
$$;
