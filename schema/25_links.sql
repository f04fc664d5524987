-- The links of deployments to the catalogue: when they are made, and made anew. The rule is in 24_link_rule.sql.

-- Who writes model_id means it: a report that names the row, or somebody in SQL. The update that makes links anew writes both.
create or replace function model_deployments_link() returns trigger
language plpgsql set search_path from current
as $$
declare
    known text := new.address;
begin
    if tg_op = 'INSERT' then
        new.model_given := new.model_id is not null;
    elsif new.model_id is distinct from old.model_id and new.model_ids = old.model_ids then
        new.model_given := new.model_id is not null;
    end if;
    new.address := coalesce(
        server_address(new.endpoint), (select server_address(n.endpoint) from gpu_nodes n where n.node_id = new.node_id), new.address);
    if tg_op = 'INSERT' or new.address is distinct from known
        or new.model_id is distinct from old.model_id or new.model_given <> old.model_given
    then
        new.model_ids := models_of_deployment(new);
        new.model_id := new.model_ids[1];
    end if;
    return new;
end
$$;

-- Rows that an earlier version linked have model_id alone. Where that is the only link, nothing is written.
create or replace function link_deployments_again(concerned uuid[]) returns void
language plpgsql set search_path from current
as $$
begin
    if concerned <> '{}' then
        update model_deployments d set model_ids = f.ids, model_id = f.ids[1]
        from (select c.id, models_of_deployment(c) as ids from model_deployments c where c.id = any (concerned) offset 0) f
        where d.id = f.id and coalesce(nullif(d.model_ids, '{}'), array_remove(array[d.model_id], null)) <> f.ids;
    end if;
end
$$;
comment on function link_deployments_again is 'Links these deployments to the models of the catalogue that they belong to now.';

-- Triggers run under the write lock, so the deployments that a statement concerns are found by their indexes: those that
-- have one of these names, and those at one of these hosts and ports. What links do not hang on looks for none.
create or replace function link_deployments_named(names text[], places text[] default '{}') returns void
language plpgsql set search_path from current set enable_seqscan to off
as $$
declare
    keys text[] := array(select distinct model_name_key(n) from unnest(names) n);
    hosts text[] := array(select regexp_replace(p, ':[0-9]+$', '') from unnest(places) p);
    loopbacks text[] := array(select 'localhost' || substring(p from ':[0-9]+$') from unnest(places) p);
begin
    perform link_deployments_again(array(
        select d.id from model_deployments d where model_name_key(d.announced_model) = any (keys)
        union
        select d.id from model_deployments d join models m on m.id = d.model_id
        where d.model_given and model_name_key(m.model_id) = any (keys)
        union
        select d.id from model_deployments d
        where d.address is not null and split_part(d.address, '/', 1) = any (places || loopbacks)
        union
        select d.id from model_deployments d
        where d.node_id = any (hosts || array(select n.node_id::text from gpu_nodes n where hosts <> '{}' and lower(n.node_id collate "C") = any (hosts)))));
end
$$;
comment on function link_deployments_named is 'Makes anew the links that hang on rows of these names, or on providers at these places.';

create or replace function link_deployments() returns trigger
language plpgsql set search_path from current
as $$
begin
    perform link_deployments_named(array(select r.model_id from named_rows r union select r.name from named_rows r));
    return null;
end
$$;

create or replace function link_deployments_of_updated() returns trigger
language plpgsql set search_path from current
as $$
declare
    moved uuid[] := array(
        select m.id from (
            select id, name, model_id, model_type, provider_id, active, routing_priority from new_rows
            except select id, name, model_id, model_type, provider_id, active, routing_priority from old_rows) m);
begin
    if moved <> '{}' then
        perform link_deployments_named(array(
            select unnest(array[r.model_id, r.name]) from new_rows r where r.id = any (moved)
            union select unnest(array[r.model_id, r.name]) from old_rows r where r.id = any (moved)));
    end if;
    return null;
end
$$;

create or replace function link_deployments_at_provider() returns trigger
language plpgsql set search_path from current
as $$
declare
    places text[] := array(select split_part(server_address(p.api_base), '/', 1) from moved_rows p where p.api_base is not null);
begin
    if places <> '{}' then
        perform link_deployments_named('{}', array_remove(places, null));
    end if;
    return null;
end
$$;

create or replace function link_deployments_of_provider() returns trigger
language plpgsql set search_path from current
as $$
declare
    moved uuid[] := array(
        select p.id from (
            select id, type, name, api_base, active, route_by, metadata ->> 'location' from new_rows
            except select id, type, name, api_base, active, route_by, metadata ->> 'location' from old_rows) p);
begin
    if moved <> '{}' then
        perform link_deployments_named(
            array(select unnest(array[m.model_id, m.name]) from models m where m.provider_id = any (moved)),
            array_remove(array(
                select split_part(server_address(r.api_base), '/', 1) from new_rows r where r.id = any (moved)
                union select split_part(server_address(r.api_base), '/', 1) from old_rows r where r.id = any (moved)), null));
    end if;
    return null;
end
$$;

-- Deployments that announce no address of their own are at their node's, and what they call localhost is there too.
create or replace function link_deployments_of_node() returns trigger
language plpgsql set search_path from current
as $$
begin
    update model_deployments d set address = server_address(new.endpoint)
    where d.node_id = new.node_id and d.endpoint is null and d.address is distinct from server_address(new.endpoint)
      and server_address(new.endpoint) is not null;
    perform link_deployments_again(array(
        select d.id from model_deployments d
        where d.node_id = new.node_id and (d.endpoint is null or d.address like 'localhost:%')));
    return null;
end
$$;

-- Once, and again when the rule is another: what was linked by an earlier one. The comment of an index says which rule that was;
-- a test says what to write here. A link to a row that the node's words do not fit was given by a report.
do $$
declare
    linked_by constant text := 'text 854e61ce of model_name_key, server_address, announced_type_fit, letters_of_type, '
        'rows_announced, find_announced_models, deployment_places, models_of_deployment';
begin
    if obj_description(to_regclass('model_deployments_name_key_idx'), 'pg_class') is not distinct from linked_by then
        return;
    end if;
    update model_deployments d set model_given = true
    where d.model_id is not null and d.model_ids = '{}' and not exists (
        select from models m join model_providers p on p.id = m.provider_id
        where m.id = d.model_id and model_name_key(d.announced_model) in (model_name_key(m.model_id), model_name_key(m.name))
          and announced_type_fit(d.provider_type, letters_of_type(d.provider_type), p.type, p.name, m.model_type, p.metadata ->> 'location') is not null);
    update model_deployments d set address = f.address
    from (
        select c.id, coalesce(server_address(c.endpoint), server_address(n.endpoint)) as address
        from model_deployments c left join gpu_nodes n on n.node_id = c.node_id) f
    where d.id = f.id and f.address is distinct from d.address and f.address is not null;
    perform link_deployments_again(array(select d.id from model_deployments d));
    execute format('comment on index model_deployments_name_key_idx is %L', linked_by);
end
$$;
