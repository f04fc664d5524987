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

-- Columns of tables that were there: with defaults, so that a service of before, which knows nothing of them, goes on writing;
-- and in the order in which it reads the tables, so that neither waits for the other. Not of a domain: that writes each row anew.
alter table model_providers
    add column only_with_key boolean not null default false,
    add column litellm jsonb not null default '{}',
    add constraint model_providers_litellm_is_object check (jsonb_typeof(litellm) = 'object'),
    drop constraint model_providers_route_by_known,
    add constraint model_providers_route_by_known check (route_by in ('api_base', 'deployments') or route_by ~ '^gateway:.'),
    drop constraint model_providers_route_by_fits_type,
    add constraint model_providers_route_by_fits_type check (
        route_by is null or not (route_by = 'deployments' or route_by ~ '^gateway:')
        or type in ('anthropic', 'openai', 'sglang', 'tgi', 'vllm', 'openai_compatible', 'ollama'));
comment on column model_providers.only_with_key is 'Whether gateways have it only where their environment has its key.';
comment on column model_providers.litellm is 'Keys of LiteLLM''s entries that the registry does not model; they go into every model of this provider.';
comment on column model_providers.route_by is 'deployments: where nodes have its models loaded, its api_base last. gateway:<name>: through that gateway, of the kind smg. api_base: always there, whatever nodes say. Null: at its api_base too, and its type says whether nodes have to have its models loaded.';

alter table models
    add column litellm jsonb not null default '{}',
    add constraint models_litellm_is_object check (jsonb_typeof(litellm) = 'object');
comment on column models.litellm is 'Keys of LiteLLM''s entry of this model that the registry does not model.';

alter table functions
    add column gateway text not null default 'tensorzero',
    add column project text,
    add column litellm jsonb not null default '{}',
    add constraint functions_gateway_fkey foreign key (gateway) references gateways (name) on update cascade on delete restrict,
    add constraint functions_litellm_is_object check (jsonb_typeof(litellm) = 'object'),
    drop constraint functions_name_key,
    add constraint functions_name_key unique (gateway, name);
comment on column functions.gateway is 'The gateway that it belongs to: others have it that have the content of that one.';
comment on column functions.project is 'The project that it was imported from. Null: people made it.';
comment on column functions.name is 'The gateway''s function key; by default <service_name>_<function_name>, or function_name alone for the service that is called like the gateway.';

alter table service_model_mappings
    add column litellm jsonb not null default '{}',
    add constraint service_model_mappings_litellm_is_object check (jsonb_typeof(litellm) = 'object');
comment on column service_model_mappings.litellm is 'Keys of LiteLLM''s entry of this mapping that the registry does not model.';

alter table config_sections
    add column gateway text not null default 'tensorzero',
    add column projects jsonb not null default '{}',
    add constraint config_sections_gateway_fkey foreign key (gateway) references gateways (name) on update cascade on delete restrict,
    add constraint config_sections_projects_are_strings check (
        jsonb_typeof(projects) = 'object' and not jsonb_path_exists(projects, '$.* ? (@.type() != "string")')),
    drop constraint config_sections_name_key,
    add constraint config_sections_name_key unique (gateway, name);
comment on column config_sections.projects is 'Key of the section -> the project that it was imported from.';

alter table config_files
    add column gateway text not null default 'tensorzero',
    add column project text,
    add constraint config_files_gateway_fkey foreign key (gateway) references gateways (name) on update cascade on delete restrict,
    drop constraint config_files_path_key,
    add constraint config_files_path_key unique (gateway, path);
