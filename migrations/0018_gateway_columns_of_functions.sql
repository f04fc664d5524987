-- depends: 0017_gateway_columns_of_models

-- A file of its own, as 0016 explains.
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
