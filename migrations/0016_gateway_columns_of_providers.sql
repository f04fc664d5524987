-- depends: 0015_gateways

-- Columns with defaults, so that a service of before, which knows nothing of them, goes on writing; not of a domain, which would
-- write each row anew. A file for each table: programs read the tables in orders of their own, and whoever holds one locked
-- while waiting for another would wait for a reader that waits for it.
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
