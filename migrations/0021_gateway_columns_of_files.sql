-- depends: 0020_gateway_columns_of_sections

-- A file of its own, as 0016 explains.
alter table config_files
    add column gateway text not null default 'tensorzero',
    add column project text,
    add constraint config_files_gateway_fkey foreign key (gateway) references gateways (name) on update cascade on delete restrict,
    drop constraint config_files_path_key,
    add constraint config_files_path_key unique (gateway, path);
