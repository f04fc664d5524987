-- depends: 0007_schema_files
-- replaces: 0016_entry_ids

-- What tells an entry of the change log from another of the same revision, which a restored backup gives twice.
-- Not a uuid: where Postgres was built without OpenSSL, one takes 7 microseconds, and thousands a second are drawn here.
-- random() is seeded anew in every server process, and two histories would have to agree at the very same revision.
-- First the column, then its default: entries that are there are not rewritten.
alter table registry_changes add column entry_id bigint;
alter table registry_changes alter column entry_id set default 1 + (random() * 9e18)::bigint;
comment on column registry_changes.entry_id is 'Random: no restored backup gives the same revision the same id again. Null: made before there were ids; see registry_entry_id.';
