-- depends: 0016_gateway_columns_of_providers

-- A file of its own, as 0016 explains.
alter table models
    add column litellm jsonb not null default '{}',
    add constraint models_litellm_is_object check (jsonb_typeof(litellm) = 'object');
comment on column models.litellm is 'Keys of LiteLLM''s entry of this model that the registry does not model.';
