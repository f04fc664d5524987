-- depends: 0019_gateway_columns_of_mappings

-- A file of its own, as 0016 explains.
alter table config_sections
    add column gateway text not null default 'tensorzero',
    add column projects jsonb not null default '{}',
    add constraint config_sections_gateway_fkey foreign key (gateway) references gateways (name) on update cascade on delete restrict,
    add constraint config_sections_projects_are_strings check (
        jsonb_typeof(projects) = 'object' and not jsonb_path_exists(projects, '$.* ? (@.type() != "string")')),
    drop constraint config_sections_name_key,
    add constraint config_sections_name_key unique (gateway, name);
comment on column config_sections.projects is 'Key of the section -> the project that it was imported from.';
