-- depends: 0001_roles
-- replaces: 0002_tables .. 0015_routed_first

-- The catalogue: what models there are, who runs them, and which of them serves what. Columns that
-- came later stand last, as they do in a database that was there before them.

-- Lengths are bounded so that every unique key fits a btree page (2,704 bytes) even with four-byte characters.
create domain registry_name as text
    constraint registry_name_is_printable check (value <> '' and value !~ '[[:cntrl:]]')
    constraint registry_name_is_short check (char_length(value) <= 300);

create domain registry_key as text
    constraint registry_key_is_printable check (value <> '' and value !~ '[[:cntrl:]]')
    constraint registry_key_is_short check (char_length(value) <= 200);

create table model_providers (
    id uuid primary key default gen_random_uuid(),
    name registry_key not null,
    type text not null,
    api_base text,
    api_key_env_var text,
    tensorzero jsonb not null default '{}',
    metadata jsonb not null default '{}',
    active boolean not null default true,
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    route_by text,
    constraint model_providers_name_key unique (name),
    constraint model_providers_name_reserved check (name !~ '^tensorzero::'),
    constraint model_providers_type_known check (type in (
        'anthropic', 'aws_bedrock', 'aws_sagemaker', 'azure', 'deepseek', 'fireworks', 'gcp_vertex_anthropic',
        'gcp_vertex_gemini', 'google_ai_studio_gemini', 'groq', 'hyperbolic', 'mistral', 'openai', 'openrouter',
        'sglang', 'tgi', 'together', 'vllm', 'xai', 'openai_compatible', 'ollama', 'custom')),
    constraint model_providers_api_base_is_url check (api_base ~* '^https?://[^[:space:]]+$'),
    constraint model_providers_api_key_env_var_is_name check (api_key_env_var ~ '^[A-Za-z_][A-Za-z0-9_]{0,199}$'),
    constraint model_providers_tensorzero_is_object check (jsonb_typeof(tensorzero) = 'object'),
    constraint model_providers_metadata_is_object check (jsonb_typeof(metadata) = 'object'),
    constraint model_providers_route_by_known check (route_by in ('api_base', 'deployments')),
    constraint model_providers_route_by_fits_type check (
        route_by is distinct from 'deployments'
        or type in ('anthropic', 'openai', 'sglang', 'tgi', 'vllm', 'openai_compatible', 'ollama'))
);
comment on table model_providers is 'An account at, or a server of, something that runs models.';
comment on column model_providers.type is 'A provider type of the TensorZero gateway, or openai_compatible, ollama (both rendered as openai with a base URL) or custom (not rendered).';
comment on column model_providers.api_key_env_var is 'The name of the environment variable that holds the key, never the key.';
comment on column model_providers.tensorzero is 'Keys of the gateway''s provider table that the registry does not model; they go into every model of this provider.';
comment on column model_providers.route_by is 'deployments: where nodes have its models loaded, its api_base last. api_base: always there, whatever nodes say. Null: at its api_base too, and its type says whether nodes have to have its models loaded.';

create table model_categories (
    id uuid primary key default gen_random_uuid(),
    key registry_key not null,
    name text not null,
    description text not null default '',
    icon text,
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint model_categories_key_key unique (key),
    constraint model_categories_name_is_printable check (name <> '' and name !~ '[[:cntrl:]]' and char_length(name) <= 200)
);
comment on table model_categories is 'What kinds of models there are, for people who browse the catalogue.';

create table models (
    id uuid primary key default gen_random_uuid(),
    provider_id uuid not null,
    name registry_name not null,
    model_id registry_name not null,
    model_type text not null default 'chat',
    capabilities jsonb not null default '[]',
    vram_mb integer,
    context_length integer,
    description text,
    routing_priority integer not null default 0,
    tensorzero jsonb not null default '{}',
    metadata jsonb not null default '{}',
    active boolean not null default true,
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    status text not null default 'active',
    card jsonb not null default '{}',
    field_sources jsonb not null default '{}',
    constraint models_provider_id_fkey foreign key (provider_id) references model_providers (id) on delete restrict,
    constraint models_provider_id_name_key unique (provider_id, name),
    constraint models_name_reserved check (name !~ '^tensorzero::'),
    constraint models_model_type_known check (model_type in ('chat', 'embedding', 'reranker', 'vl', 'tts', 'audio', 'image')),
    constraint models_capabilities_are_strings check (
        jsonb_typeof(capabilities) = 'array' and not jsonb_path_exists(capabilities, '$[*] ? (@.type() != "string")')),
    constraint models_vram_mb_not_negative check (vram_mb >= 0),
    constraint models_context_length_not_negative check (context_length >= 0),
    constraint models_tensorzero_is_object check (jsonb_typeof(tensorzero) = 'object'),
    constraint models_metadata_is_object check (jsonb_typeof(metadata) = 'object'),
    constraint models_status_known check (
        status in ('active', 'experimental', 'deprecated', 'disabled', 'maintenance')),
    constraint models_card_is_object check (jsonb_typeof(card) = 'object'),
    constraint models_card_numbers_not_negative check (
        not jsonb_path_exists(card, '$.* ? (@.type() == "number" && @ < 0)')),
    constraint models_card_quality_in_range check (
        not jsonb_path_exists(card, '$.quality_scores.* ? (@ < 0 || @ > 1)')),
    constraint models_card_latencies_in_order check (
        not jsonb_path_exists(card, '$ ? (@.latency_p50_ms > @.latency_p99_ms)')),
    constraint models_card_memory_in_order check (
        not jsonb_path_exists(card, '$.requirements ? (@.min_vram_gb > @.recommended_vram_gb)')),
    constraint models_field_sources_are_strings check (
        jsonb_typeof(field_sources) = 'object' and not jsonb_path_exists(field_sources, '$.* ? (@.type() != "string")'))
);
create index models_name_idx on models (name);
create index models_model_id_idx on models (model_id);
comment on table models is 'One model as one provider offers it. Rows that share a name are one routed model with several providers.';
comment on column models.name is 'What callers ask for, and the gateway''s model key.';
comment on column models.model_id is 'What the provider calls the model.';
comment on column models.vram_mb is 'Memory the loaded model takes on a GPU, in MiB; 0 for hosted models.';
comment on column models.context_length is 'Longest input and output together, in tokens; 0 where it has no meaning.';
comment on column models.routing_priority is 'Among rows that share a name, lower is tried first.';
comment on column models.tensorzero is 'provider_key: the key of this row''s provider in the gateway''s model; provider: extra keys of that provider table; model: extra keys of the model table.';
comment on column models.status is 'Whether the model should be chosen: active and experimental ones are offered. What the gateway serves is decided by active alone.';
comment on column models.card is 'Facts to choose by: prices, limits, latency, quality, requirements, defaults. Only fields that are known are there.';
comment on column models.field_sources is 'Field -> the importer that filled it, or hand for one that was emptied by hand. A field that is set and not named here was set by hand.';

create table model_aliases (
    id uuid primary key default gen_random_uuid(),
    model_id uuid not null,
    alias registry_name not null,
    context registry_key,
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint model_aliases_model_id_fkey foreign key (model_id) references models (id) on delete restrict,
    constraint model_aliases_alias_context_key unique nulls not distinct (alias, context),
    constraint model_aliases_alias_reserved check (alias !~ '^tensorzero::')
);
create index model_aliases_model_id_idx on model_aliases (model_id);
comment on table model_aliases is 'Another name for a model. Without a context, or with the context default or tensorzero, it is a model key of the gateway too.';

create table functions (
    id uuid primary key default gen_random_uuid(),
    service_name registry_key not null,
    function_name registry_key not null,
    name text not null,
    type text not null default 'chat',
    description text,
    tensorzero jsonb not null default '{}',
    metadata jsonb not null default '{}',
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint functions_service_name_function_name_key unique (service_name, function_name),
    constraint functions_name_key unique (name),
    constraint functions_name_is_printable check (name <> '' and name !~ '[[:cntrl:]]' and char_length(name) <= 401),
    constraint functions_name_reserved check (name !~ '^tensorzero::'),
    constraint functions_type_known check (type in ('chat', 'json')),
    constraint functions_tensorzero_is_object check (jsonb_typeof(tensorzero) = 'object'),
    constraint functions_metadata_is_object check (jsonb_typeof(metadata) = 'object')
);
comment on table functions is 'A function of a service: what the gateway calls a function.';
comment on column functions.name is 'The gateway''s function key; by default <service_name>_<function_name>, or function_name alone for the service tensorzero.';
comment on column functions.tensorzero is 'Keys of the gateway''s function table that the registry does not model.';

create table service_model_mappings (
    id uuid primary key default gen_random_uuid(),
    service_name registry_key not null,
    function_name registry_key not null,
    variant_name registry_key not null,
    model_id uuid not null,
    priority integer not null default 1,
    weight double precision not null default 1,
    fallback_model_id uuid,
    tensorzero jsonb not null default '{}',
    metadata jsonb not null default '{}',
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint service_model_mappings_function_fkey foreign key (service_name, function_name)
        references functions (service_name, function_name) on update cascade on delete restrict,
    constraint service_model_mappings_model_id_fkey foreign key (model_id) references models (id) on delete restrict,
    constraint service_model_mappings_fallback_model_id_fkey foreign key (fallback_model_id) references models (id) on delete restrict,
    constraint service_model_mappings_variant_key unique (service_name, function_name, variant_name),
    constraint service_model_mappings_variant_name_reserved check (variant_name !~ '^tensorzero::'),
    -- NaN sorts above infinity, so the upper bound refuses both.
    constraint service_model_mappings_weight_is_finite check (weight >= 0 and weight < 'infinity'),
    constraint service_model_mappings_tensorzero_is_object check (jsonb_typeof(tensorzero) = 'object'),
    constraint service_model_mappings_metadata_is_object check (jsonb_typeof(metadata) = 'object')
);
create index service_model_mappings_model_id_idx on service_model_mappings (model_id);
create index service_model_mappings_fallback_model_id_idx on service_model_mappings (fallback_model_id);
comment on table service_model_mappings is 'Which model serves which function of which service, as which variant.';
comment on column service_model_mappings.priority is 'Lower is tried first.';
comment on column service_model_mappings.weight is 'Share of the traffic among the variants of the same priority.';
comment on column service_model_mappings.tensorzero is 'Keys of the gateway''s variant table that the registry does not model.';

create table config_sections (
    id uuid primary key default gen_random_uuid(),
    name registry_key not null,
    value jsonb not null,
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint config_sections_name_key unique (name),
    constraint config_sections_value_is_object check (jsonb_typeof(value) = 'object')
);
comment on table config_sections is 'Top-level tables of the gateway''s configuration that the registry does not model.';

create table config_files (
    id uuid primary key default gen_random_uuid(),
    path registry_name not null,
    content text not null,
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint config_files_path_key unique (path)
);
comment on table config_files is 'Templates and schemas that a configuration refers to.';
