-- depends: 0014_fleet_repairs

-- As before, but of rows that fit an announced model equally well, that of a provider which is routed by deployments comes
-- first: for the others it makes no difference where a model is loaded.
do $$
declare
    definition text := pg_get_functiondef('find_announced_model(text, text)'::regprocedure);
    old_order text := '(m.active and p.active) desc, p.name';
    new_order text := '(m.active and p.active) desc, (p.route_by = ''deployments'') is true desc, p.name';
begin
    if position(old_order in definition) = 0 then
        raise exception 'find_announced_model is not as 0004 made it';
    end if;
    execute replace(definition, old_order, new_order);
end
$$;

notify pgrst, 'reload schema';
