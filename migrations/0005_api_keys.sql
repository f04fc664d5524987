-- depends: 0004_change_log
-- replaces: 0002_tables .. 0015_routed_first

-- Who may use the HTTP interface.

create table api_keys (
    id uuid primary key default gen_random_uuid(),
    name registry_key not null,
    key_hash text not null,
    scopes jsonb not null,
    revoked_at timestamptz,
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint api_keys_name_key unique (name),
    constraint api_keys_key_hash_key unique (key_hash),
    constraint api_keys_key_hash_is_sha256 check (key_hash ~ '^[0-9a-f]{64}$'),
    constraint api_keys_scopes_known check (scopes <@ '["admin", "node", "read"]' and jsonb_array_length(scopes) > 0)
);
comment on table api_keys is 'Keys of the HTTP interface. Only the SHA-256 of a key is kept.';
