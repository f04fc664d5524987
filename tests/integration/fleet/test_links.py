"""Links from deployments to models, kept by triggers that only check rows affected by a statement: none is missed."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from psycopg import sql

TYPES = ("ollama", "vllm", "openai_compatible", "openai")
NAMES = ("a", "b", "c", "d", "e")

STALE = """
    select d.announced_model from model_deployments d join models m on m.id = d.model_id
    where d.announced_model not in (m.name, m.model_id)
"""
"""Deployments linked to a model that has another name by now."""
OTHERWISE = """
    select d.node_id, d.announced_model, d.address, d.model_ids, models_of_deployment(d) from model_deployments d
    where d.model_ids <> models_of_deployment(d) or d.model_id is distinct from d.model_ids[1]
"""
"""Deployments that the rule would link otherwise by now."""
PLACES = ("http://n:1/v1", "http://N:1", "https://other/a/v1", "http://127.0.0.1:1", "https://other/b", "n:2")


def some(chance: random.Random, table: str) -> sql.Composed:
    """One row of a table, or none when it is empty."""
    row = sql.SQL("(select id from {} order by md5(id::text || {}) limit 1)")
    return row.format(sql.Identifier(table), sql.Literal(str(chance.random())))


def step(chance: random.Random) -> sql.Composed:
    """A statement that a link may hang on, or not."""
    name, other = sql.Literal(chance.choice(NAMES)), sql.Literal(chance.choice(NAMES))
    kind = sql.Literal(chance.choice(TYPES))
    model, provider = some(chance, "models"), some(chance, "model_providers")
    parts: dict[str, Any] = {"name": name, "other": other, "type": kind, "model": model, "provider": provider}
    parts["fresh"] = sql.Literal(f"{chance.random()}")
    parts["place"] = sql.Literal(chance.choice(PLACES))
    statements = (
        "insert into model_providers (name, type) values ({fresh}, {type})",
        "update model_providers set type = {type} where id = {provider}",
        """update model_providers set name = case when name = 'tts' then {fresh} else 'tts' end where id = {provider}
           and not exists (select from model_providers p where p.name = 'tts' and p.id <> {provider})""",
        """insert into models (provider_id, name, model_id) select {provider}, {name}, {other}
           where exists (select from model_providers) on conflict do nothing""",
        """insert into models (provider_id, name, model_id) select p.id, n, n from model_providers p,
           unnest(array[{name}, {other}]) n on conflict do nothing""",
        "update models set model_id = {name} where id = {model}",
        "update models set model_id = {name}, description = {fresh}",
        "update models set name = {fresh} where id = {model}",
        "update models set model_type = case model_type when 'tts' then 'chat' else 'tts' end where id = {model}",
        """update models m set provider_id = {provider} where id = {model} and not exists
           (select from models o where o.provider_id = {provider} and o.name = m.name)""",
        "update models set active = not active, description = {fresh}",
        "delete from models where id = {model}",
        "delete from models where model_id = {name}",
        """delete from model_providers p where id = {provider}
           and not exists (select from models where provider_id = p.id)""",
        "update model_providers set api_base = nullif({place}, 'n:2') where id = {provider}",
        "update model_providers set active = not active where id = {provider}",
        """update model_providers set route_by = case when route_by is null and type <> 'custom' then 'deployments' end
           where id = {provider}""",
        "update model_deployments set endpoint = {place}, status = 'loaded' where announced_model = {name}",
        "update model_deployments set endpoint = null, status = 'unloaded' where announced_model = {name}",
        "update gpu_nodes set endpoint = {place}",
        "update models set routing_priority = routing_priority + 1, active = not active where id = {model}",
    )
    return sql.SQL(chance.choice(statements)).format(**parts)


@pytest.mark.parametrize("seed", range(2))
def test_after_any_change_of_the_catalogue_every_deployment_that_fits_a_model_is_linked(
    database: psycopg.Connection, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 (chance)
    database.execute("insert into gpu_nodes (node_id) values ('n')")
    for provider_type in ("ollama", "vllm", "tts"):
        for name in NAMES:
            database.execute(
                "insert into model_deployments (node_id, provider_type, announced_model) values ('n', %s, %s)",
                [provider_type, name],
            )
    linked = 0
    for number in range(250):
        statement = step(chance)
        database.execute(statement)
        done = f"{number}: {statement.as_string(database)}"
        assert database.execute(STALE).fetchall() == [], done
        assert database.execute(OTHERWISE).fetchall() == [], done
        row = database.execute("select count(model_id) from model_deployments").fetchone()
        linked += row[0] if row else 0
    assert linked > 150


def test_an_update_that_moves_no_link_writes_no_deployment(database: psycopg.Connection) -> None:
    database.execute("insert into model_providers (name, type) values ('p', 'ollama')")
    database.execute("insert into models (provider_id, name, model_id) select id, 'm', 'm' from model_providers")
    database.execute(
        "insert into model_deployments (node_id, provider_type, announced_model) values ('n', 'ollama', 'm')"
    )
    before = database.execute("select xmin::text from model_deployments where model_id is not null").fetchone()
    assert before is not None

    database.execute("update models set description = 'x', metadata = '{\"a\": 1}', active = false")
    database.execute("update models set model_type = 'embedding', routing_priority = 3")
    database.execute("update model_providers set api_base = 'http://a', active = false, route_by = 'deployments'")

    assert database.execute("select xmin::text from model_deployments").fetchone() == before
