-- depends: 0006_default_categories

-- What schema/ was when it was last applied: whether it must be applied again, and what it made that a newer one no longer
-- has. Like the migration runner's own tables it is nobody's but the owner's.
create table schema_files (
    name text primary key,
    digest text not null,
    objects text[] not null,
    version text not null
);
comment on table schema_files is 'The files of schema/ as they were last applied. Written by the migration runner.';
comment on column schema_files.digest is 'SHA-256 of the newest migration''s name and the file.';
comment on column schema_files.objects is 'The functions and views that the file made, as DROP names them.';
comment on column schema_files.version is 'The version of the model registry that applied it; an older one leaves it alone.';
alter table schema_files enable row level security;

-- The chain of before had its default categories in a function that nobody called.
drop function if exists registry_add_default_categories();
