-- depends: 0018_gateway_columns_of_functions

-- A file of its own, as 0016 explains.
alter table service_model_mappings
    add column litellm jsonb not null default '{}',
    add constraint service_model_mappings_litellm_is_object check (jsonb_typeof(litellm) = 'object');
comment on column service_model_mappings.litellm is 'Keys of LiteLLM''s entry of this mapping that the registry does not model.';
