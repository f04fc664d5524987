-- depends: 0003_fleet
-- replaces: 0002_tables .. 0015_routed_first

-- The change log, and which registry it is of.

-- Which database this is. A snapshot on a service's disk that came from another one must not be brought forward.
create table registry_identity (
    id uuid primary key default gen_random_uuid(),
    only_row boolean not null default true,
    history_from bigint not null default 0,
    constraint registry_identity_only_row_key unique (only_row),
    constraint registry_identity_only_row check (only_row)
);
insert into registry_identity default values;
comment on table registry_identity is 'One row: the identity of this registry.';
comment on column registry_identity.history_from is 'The oldest revision whose state the log still holds; what came before it was trimmed.';

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
    transaction_id xid8 default pg_current_xact_id(),
    constraint registry_changes_operation_known check (operation in ('insert', 'update', 'delete'))
);
-- By the row alone: half the size of an index that begins with the table's name, and an id is never in two tables.
create index registry_changes_row_idx on registry_changes (row_id, revision);
comment on table registry_changes is 'Every committed change, in commit order. Snapshots are brought forward with it.';
comment on column registry_changes.actor is 'Who asked for it: an API key''s name, a command, or the database role.';
comment on column registry_changes.origin is 'The service instance that made the change and announces it; null for changes made in SQL.';
comment on column registry_changes.before is 'The row before an update or a deletion. Null for an update of a deployment: see "after" of its change before this.';
comment on column registry_changes.transaction_id is 'The transaction that made the change. Changes of one stand side by side.';
