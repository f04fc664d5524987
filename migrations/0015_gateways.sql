-- depends: 0014_other_models

-- Gateways: the programs that take requests for models, each with a configuration of its own. One, called tensorzero, is
-- there from the start: everything that was written for the only gateway so far is its content.

create table gateways (
    id uuid primary key default gen_random_uuid(),
    name registry_key not null,
    kind text not null,
    description text,
    content_of registry_key not null,
    services jsonb,
    providers jsonb,
    labels jsonb,
    environment jsonb,
    pinned_revision bigint,
    promotion jsonb,
    settings jsonb not null default '{}',
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint gateways_name_key unique (name),
    constraint gateways_kind_known check (kind in ('tensorzero', 'litellm', 'smg')),
    constraint gateways_content_of_fkey foreign key (content_of) references gateways (name) on update cascade on delete restrict,
    constraint gateways_services_are_strings check (
        jsonb_typeof(services) = 'array' and not jsonb_path_exists(services, '$[*] ? (@.type() != "string")')),
    constraint gateways_providers_are_strings check (
        jsonb_typeof(providers) = 'array' and not jsonb_path_exists(providers, '$[*] ? (@.type() != "string")')),
    constraint gateways_labels_is_object check (jsonb_typeof(labels) = 'object'),
    constraint gateways_environment_are_strings check (
        jsonb_typeof(environment) = 'array' and not jsonb_path_exists(environment, '$[*] ? (@.type() != "string")')),
    constraint gateways_pinned_revision_not_negative check (pinned_revision >= 0),
    constraint gateways_promotion_is_object check (jsonb_typeof(promotion) = 'object'),
    constraint gateways_settings_is_object check (jsonb_typeof(settings) = 'object')
);
comment on table gateways is 'A program that takes requests for models, and has a configuration.';
comment on column gateways.content_of is 'The gateway whose functions, sections and files it has: its own name, or that of another.';
comment on column gateways.services is 'The services whose functions it carries. Null: all.';
comment on column gateways.providers is 'The providers whose models it carries. Null: all.';
comment on column gateways.labels is 'Labels that a node must have for its deployments to be used. Null: all nodes.';
comment on column gateways.environment is 'Names of the environment variables that exist where it runs. Null: not known.';
comment on column gateways.pinned_revision is 'The revision of the catalogue that it has. Null: the newest.';
comment on column gateways.promotion is 'The last promotion, or the one that waits for approvals.';
comment on column gateways.settings is 'Settings of its kind.';

insert into gateways (name, kind, content_of) values ('tensorzero', 'tensorzero', 'tensorzero');
