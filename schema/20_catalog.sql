-- What follows from a row of the catalogue: names and functions that are not asked for.

-- A function row gets its gateway name, and a mapping gets its function, without being asked.
create or replace function functions_default_name() returns trigger
language plpgsql set search_path from current
as $$
begin
    if new.name is null then
        new.name := case when new.service_name in ('tensorzero', new.gateway) then new.function_name
                    else new.service_name || '_' || new.function_name end;
    end if;
    return new;
end
$$;

create or replace function service_model_mappings_create_function() returns trigger
language plpgsql set search_path from current
as $$
begin
    insert into functions (service_name, function_name, name)
    values (new.service_name, new.function_name, null)
    on conflict (service_name, function_name) do nothing;
    return new;
end
$$;
