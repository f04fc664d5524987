-- depends: 0008_entry_ids
-- replaces: 0018_closed_reads

-- Who comes through PostgREST reads nothing unless somebody asks for it with `db migrate --public-reads`: on Supabase anon is
-- the internet, and authenticated is whoever has signed up. A registry in which nothing was ever written starts closed. One
-- that holds something keeps the policies it had: programs may depend on them, and `db migrate` says so. Rights follow the
-- policies: schema/90_access.sql.
do $$
declare
    open_table regclass;
begin
    if (select is_called from registry_revision) then
        return;
    end if;
    for open_table in select polrelid from pg_policy where polname = 'readers' and polrelid in (
        select oid from pg_class where relnamespace = current_schema()::regnamespace)
    loop
        execute format('drop policy readers on %s', open_table);
    end loop;
end
$$;
