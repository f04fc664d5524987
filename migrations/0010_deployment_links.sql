-- depends: 0009_closed_reads

-- A deployment belongs to every row that means the same provider model, and its address decides which provider that is.
-- How the columns are filled is in schema/24_link_rule.sql and 25_links.sql. Columns with constant defaults: no row is rewritten.
alter table model_deployments
    add column model_ids uuid[] not null default '{}',
    add column model_given boolean not null default false,
    add column address text;
comment on column model_deployments.model_id is 'The first of model_ids; null while no row of the catalogue fits.';
comment on column model_deployments.model_ids is 'Every row of the catalogue that means this model at this server, the best first.';
comment on column model_deployments.model_given is 'Whether the report named the row itself: no rule overrules that.';
comment on column model_deployments.address is 'Where it was last announced, as server_address() writes it. It stays when the model is unloaded.';
create index model_deployments_address_idx on model_deployments (split_part(address, '/', 1)) where address is not null;
create index model_deployments_given_idx on model_deployments (model_id) where model_given;
