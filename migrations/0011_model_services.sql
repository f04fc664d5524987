-- depends: 0010_deployment_links

-- Model services, which answer /predict and /train, and the addresses at which they do.

create table model_services (
    id uuid primary key default gen_random_uuid(),
    model_type registry_key not null,
    description text,
    strategy text,
    sticky_header text,
    selected_version text,
    version_weights jsonb not null default '{}',
    repeatable jsonb,
    timeouts jsonb not null default '{}',
    most_tries integer,
    queue_length integer,
    queue_seconds double precision,
    training_grace_seconds double precision,
    metadata jsonb not null default '{}',
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    model_type_key text not null generated always as (lower(model_type)) stored,
    constraint model_services_model_type_key unique (model_type_key),
    constraint model_services_strategy_known check (strategy in ('round_robin', 'weighted', 'least_loaded', 'sticky')),
    constraint model_services_version_weights_is_object check (jsonb_typeof(version_weights) = 'object'),
    constraint model_services_repeatable_is_list check (jsonb_typeof(repeatable) = 'array'),
    constraint model_services_timeouts_is_object check (jsonb_typeof(timeouts) = 'object'),
    constraint model_services_limits_not_negative check (
        most_tries >= 1 and queue_length >= 0 and queue_seconds >= 0 and training_grace_seconds >= 0),
    constraint model_services_metadata_is_object check (jsonb_typeof(metadata) = 'object')
);
comment on table model_services is 'A kind of model service: what serves one model type, and how requests are divided among its instances.';
comment on column model_services.model_type is 'Its name, such as LSTM. Compared without case.';
comment on column model_services.strategy is 'How an instance is chosen. Null: the registry''s LOAD_BALANCING_STRATEGY.';
comment on column model_services.selected_version is 'The version that requests for no particular one get. Null: by version_weights, else the latest.';
comment on column model_services.version_weights is 'Version -> share of the requests for no particular one.';
comment on column model_services.repeatable is 'Capabilities whose requests may be sent twice. Null: those that are by nature.';
comment on column model_services.timeouts is 'Capability -> seconds for a whole request.';
comment on column model_services.queue_length is 'How many requests may wait for an instance, in each replica of the registry.';
comment on column model_services.model_type_key is 'The model type in small letters: LSTM and lstm are one.';

create table service_instances (
    id uuid primary key default gen_random_uuid(),
    service_id registry_key not null,
    model_service_id uuid not null,
    service_url text not null,
    capabilities jsonb not null,
    weight double precision not null default 1,
    max_concurrent_requests integer,
    timeout_seconds double precision,
    model_version text,
    labels jsonb not null default '{}',
    training_flow text not null default 'direct',
    health jsonb not null default '{}',
    status text not null default 'active',
    status_reason text,
    ttl_seconds double precision,
    renewed_at timestamptz not null default now(),
    registered_by text,
    registered_over text not null default 'http',
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint service_instances_service_id_key unique (service_id),
    constraint service_instances_model_service_id_fkey foreign key (model_service_id) references model_services (id),
    constraint service_instances_url_is_http check (service_url ~* '^https?://[^[:space:]@]+$' and char_length(service_url) <= 2000),
    constraint service_instances_capabilities_are_strings check (
        jsonb_typeof(capabilities) = 'array' and not jsonb_path_exists(capabilities, '$[*] ? (@.type() != "string")')),
    constraint service_instances_weight_is_finite check (weight >= 0 and weight < 'infinity'),
    constraint service_instances_limits_positive check (max_concurrent_requests >= 1 and timeout_seconds > 0 and ttl_seconds > 0),
    constraint service_instances_labels_is_object check (jsonb_typeof(labels) = 'object'),
    constraint service_instances_training_flow_known check (training_flow in ('direct', 'prepared')),
    constraint service_instances_health_is_object check (jsonb_typeof(health) = 'object'),
    constraint service_instances_status_known check (status in ('active', 'draining', 'retired')),
    constraint service_instances_registered_over_known check (registered_over in ('http', 'nats', 'file'))
);
comment on table service_instances is 'One address of a model service.';
comment on column service_instances.service_id is 'The registrant''s own name for it: who registers it again updates it.';
comment on column service_instances.training_flow is 'prepared: the data of a training is prepared, and waited for, before training starts.';
comment on column service_instances.health is 'How it is probed: {"path", "words", "check": "none"}.';
comment on column service_instances.status is 'draining: no new requests, running ones end. retired: gone as soon as they have.';
comment on column service_instances.ttl_seconds is 'Who does not renew it for this long is gone. Null: it stays.';
comment on column service_instances.renewed_at is 'When its registrant, or a replica that uses it, last renewed it. No change of the registry.';
create index service_instances_model_service_id_idx on service_instances (model_service_id);

alter table fleet_watch
    add column instances_renewed_at timestamptz,
    add column instances_watched_since timestamptz;
comment on column fleet_watch.instances_renewed_at is 'When a replica last wrote renewals of instances of model services.';
comment on column fleet_watch.instances_watched_since is 'Since when replicas have done so without a gap: silence before does not count.';

-- Keys that may only register model services, or only send requests to some of them.
alter table api_keys
    add column services jsonb,
    drop constraint api_keys_scopes_known,
    add constraint api_keys_scopes_known check (
        scopes <@ '["admin", "node", "read", "service", "dispatch"]' and jsonb_array_length(scopes) > 0) not valid,
    add constraint api_keys_services_are_strings check (
        jsonb_typeof(services) = 'array' and not jsonb_path_exists(services, '$[*] ? (@.type() != "string")'));
alter table api_keys validate constraint api_keys_scopes_known;
comment on column api_keys.services is 'The services, model types and models that the scopes service and dispatch are limited to, without case. Null: all.';
