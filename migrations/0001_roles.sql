-- The roles of a Supabase project, created only where they are missing, so that the same migrations
-- apply to an empty Postgres and to Supabase. All migrations use unqualified names: the runner creates the
-- schema and sets search_path to it, which is what makes the schema's name a setting.

do $$
declare
    wanted text;
begin
    foreach wanted in array array['anon', 'authenticated', 'service_role'] loop
        if not exists (select from pg_roles where rolname = wanted) then
            execute format('create role %I nologin noinherit', wanted);
        end if;
    end loop;
    -- PostgREST logs in as this role and then becomes one of the others. It has no password until someone sets one.
    if not exists (select from pg_roles where rolname = 'authenticator') then
        create role authenticator login noinherit;
        grant anon, authenticated, service_role to authenticator;
    end if;
end
$$;
