"""Which rows a deployment belongs to: by address, then by type and name; the spelling is the same in SQL and Python."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from psycopg import sql

from model_registry.entities.model_name import name_key
from model_registry.entities.server_address import server_address
from model_registry.store import migrations

ONE, TWO = "http://box-1:11434/v1", "http://box-2:11434/v1"


def insert(database: psycopg.Connection, table: str, **columns: Any) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    values = sql.SQL(", ").join(map(sql.Literal, columns.values()))
    database.execute(sql.SQL("insert into {} ({}) values ({})").format(sql.Identifier(table), names, values))


def provider(
    database: psycopg.Connection, name: str, kind: str = "ollama", base: str | None = None, **more: Any
) -> None:
    insert(database, "model_providers", name=name, type=kind, api_base=base, **more)


def model(database: psycopg.Connection, at: str, name: str, model_id: str, **more: Any) -> None:
    row = database.execute("select id from model_providers where name = %s", [at]).fetchone()
    assert row is not None
    insert(database, "models", provider_id=row[0], name=name, model_id=model_id, **more)


def announce(
    database: psycopg.Connection, node: str, name: str, endpoint: str | None = None, kind: str = "ollama"
) -> None:
    insert(database, "model_deployments", node_id=node, provider_type=kind, announced_model=name, endpoint=endpoint)


STALE = """
    select node_id, model_ids, models_of_deployment(d) from model_deployments d
    where model_ids <> models_of_deployment(d) or model_id is distinct from model_ids[1]
"""
"""Links that are not as the rule has them now."""
LINKS = """
    select d.node_id, array(
        select p.name || '/' || m.name from unnest(d.model_ids) with ordinality l (id, place)
        join models m on m.id = l.id join model_providers p on p.id = m.provider_id order by l.place)
    from model_deployments d
"""


def links(database: psycopg.Connection) -> dict[str, list[str]]:
    """Node -> its links as provider/model, the best first."""
    assert database.execute(STALE).fetchall() == []
    return dict(database.execute(LINKS).fetchall())


_NAMES = """
    llama3.2 Llama3.2:latest library/llama3.2 registry.ollama.ai/library/llama3.2:LATEST ollama.com/x OLLAMA.ai/u/x
    hf.co/Org/M huggingface.co/org/m:latest https://huggingface.co/org/m www.hf.co/a hf.co/ library/ :latest latest
    library/library/x x:latest:latest registry.ollama.ai/ Qwen/Qwen3-8B C:\\models\\win.gguf ÄÖ İ
"""
NAMES = _NAMES.split()
_URLS = """
    http://Box-1:11434 https://box-1:11434/v1/ box-1:11434/ HTTP://h http://h:80/v1 https://h/ https://h:443/a/v1// h.
    http://localhost:1 http://127.0.0.1:1/v1 http://127.9.9.9:1 http://[::1]:1 http://[0:0:0:0:0:0:0:1]:1 http://[::]:1
    http://0.0.0.0:1 http://[FE80::1]:08 http://u:p@h:9/x?y#z ws://h wss://h . http:// http://h:x http://h:123456 //h/x
    http://h/V1 http://h/v1/v1 http://h//v1 http://h?q http://gw/Ollama/v1 env::X [::1] http://h:0
"""
URLS = _URLS.split()
_PIECES = """
    http:// https:// registry.ollama.ai/ ollama.com/ library/ hf.co/ huggingface.co/ :latest /v1 localhost 0.0.0.0 [::1]
    :80 :443 : / x X É . ?
"""
PIECES = _PIECES.split()


def test_python_and_sql_spell_names_and_addresses_alike(database: psycopg.Connection) -> None:
    texts = {"", "a b", *NAMES, *URLS, *("".join(parts) for parts in _drawn())}
    query = "select t, model_name_key(t), server_address(t) from unnest(%s::text[]) t"
    rows = database.execute(query, [sorted(texts)]).fetchall()
    assert [(text, name_key(text), server_address(text)) for text, _, _ in rows] == rows


def _drawn() -> list[list[str]]:
    chance = random.Random(11)  # noqa: S311 (chance)
    return [chance.choices(PIECES, k=chance.randint(1, 6)) for _ in range(3000)]


def test_two_boxes_with_the_same_model_each_have_their_own_deployment(database: psycopg.Connection) -> None:
    for name, base in (("a", ONE), ("b", TWO)):
        provider(database, name, base=base, route_by="deployments")
        model(database, name, "llama", "llama3.2")
    endpoints = {"n1": "http://box-1:11434", "n2": "HTTP://BOX-2:11434/v1/", "box-2": "http://127.0.0.1:11434"}
    for node, endpoint in {**endpoints, "n4": None, "n5": "http://box-9:1"}.items():
        announce(database, node, "llama3.2:latest", endpoint)

    assert links(database) == {
        "n1": ["a/llama"],
        "n2": ["b/llama"],
        "box-2": ["b/llama"],
        "n4": ["a/llama"],
        "n5": ["a/llama"],
    }
    database.execute("insert into gpu_nodes (node_id, endpoint) values ('n4', 'http://box-2:11434')")
    assert links(database)["n4"] == ["b/llama"]
    database.execute("update gpu_nodes set endpoint = 'http://box-1:11434'")
    assert links(database)["n4"] == ["a/llama"]
    database.execute("update model_providers set api_base = 'http://box-9:1' where name = 'b'")
    assert links(database) == {
        node: ["b/llama" if node == "n5" else "a/llama"] for node in ("n1", "n2", "box-2", "n4", "n5")
    }


def test_what_is_unloaded_stays_at_its_box(database: psycopg.Connection) -> None:
    for name, base in (("a", ONE), ("b", TWO)):
        provider(database, name, base=base)
        model(database, name, "llama", "llama3.2")
    announce(database, "n", "llama3.2", TWO)
    database.execute("update model_deployments set status = 'unloaded', endpoint = null")
    assert links(database) == {"n": ["b/llama"]}
    database.execute("update models set routing_priority = 1")
    assert links(database) == {"n": ["b/llama"]}


def test_all_rows_of_one_model_are_linked(database: psycopg.Connection) -> None:
    provider(database, "a", base=ONE, route_by="deployments")
    announce(database, "n", "qwen3:8b", ONE)
    assert links(database) == {"n": []}
    model(database, "a", "chat", "qwen3:8b")
    model(database, "a", "second", "Qwen3:8B")
    model(database, "a", "embedding", "qwen3:8b", model_type="embedding")
    model(database, "a", "qwen3:8b", "other")  # only its name is like it
    assert links(database) == {"n": ["a/chat", "a/embedding", "a/second"]}
    database.execute("delete from models where name = 'chat'")
    assert links(database) == {"n": ["a/embedding", "a/second"]}


@pytest.mark.parametrize(
    ("kind", "at", "base", "meets"),
    [
        ("ollama", "openai_compatible", "http://other/v1", True),
        ("sglang", "openai_compatible", None, True),
        ("llama.cpp", "openai_compatible", None, True),
        ("LM-Studio", "openai_compatible", None, True),
        ("openai_compatible", "sglang", None, True),
        ("openai_compatible", "ollama", None, True),
        ("vllm", "ollama", None, False),
        ("ollama", "vllm", None, False),
        ("ollama", "vllm", "http://n:1/v1", True),  # at its address the type does not matter
        ("ollama", "openai", None, False),
        ("tts", "custom", "http://n:1", True),
        ("openai_compatible", "openai_compatible", None, True),
    ],
)
def test_types_meet_as_servers_do(
    database: psycopg.Connection, kind: str, at: str, base: str | None, *, meets: bool
) -> None:
    provider(database, "p", at, base)
    model(database, "p", "m", "m")
    announce(database, "n", "m", "http://n:1", kind)
    assert links(database) == {"n": ["p/m"] if meets else []}
    database.execute('update model_providers set metadata = \'{"location": "hosted"}\'')
    assert links(database)["n"] == (["p/m"] if meets and (base == "http://n:1/v1" or at != "openai_compatible") else [])


def test_of_a_server_that_knows_one_spelling_the_exact_name_counts(database: psycopg.Connection) -> None:
    provider(database, "p", "vllm")
    for name in ("SQL", "sql"):
        model(database, "p", f"adapter {name}", name)
    announce(database, "n", "sql", kind="vllm")
    announce(database, "m", "Sql", kind="vllm")
    assert links(database) == {"n": ["p/adapter sql"], "m": ["p/adapter SQL", "p/adapter sql"]}


def test_a_provider_at_the_address_keeps_others_away_unless_it_is_switched_off(database: psycopg.Connection) -> None:
    provider(database, "elsewhere", base="http://localhost:11434/v1")
    model(database, "elsewhere", "m", "m")
    announce(database, "n", "m", ONE)
    assert links(database) == {"n": ["elsewhere/m"]}
    provider(database, "here", base=ONE)
    assert links(database) == {"n": []}
    database.execute("update model_providers set route_by = 'deployments' where name = 'elsewhere'")
    assert links(database) == {"n": ["elsewhere/m"]}  # it is wherever nodes have its models
    database.execute("update model_providers set active = false, route_by = null where name in ('here', 'elsewhere')")
    database.execute("update model_providers set active = true where name = 'elsewhere'")
    model(database, "here", "m", "m")
    assert links(database) == {"n": ["here/m", "elsewhere/m"]}
    database.execute("update model_providers set active = true")
    assert links(database) == {"n": ["here/m"]}
    database.execute("delete from models where provider_id = (select id from model_providers where name = 'here')")
    database.execute("delete from model_providers where name = 'here'")
    assert links(database) == {"n": ["elsewhere/m"]}


def test_a_node_that_is_an_ollama_may_run_other_servers_too(database: psycopg.Connection) -> None:
    provider(database, "ollama", base=ONE)
    provider(database, "speech", "custom", "http://localhost:8880/v1")
    model(database, "speech", "kokoro", "kokoro", model_type="tts")
    insert(database, "gpu_nodes", node_id="n", endpoint="http://box-1:11434")
    announce(database, "n", "kokoro", kind="tts")
    assert links(database) == {"n": ["speech/kokoro"]}


def test_paths_tell_servers_at_one_port_apart(database: psycopg.Connection) -> None:
    for name in ("a", "b"):
        provider(database, name, "openai_compatible", f"https://gw/{name}/v1")
        model(database, name, "m", "m")
    for node, endpoint in {"n1": "https://gw/b", "n2": "https://gw:443/a/v1/", "n3": "https://gw"}.items():
        announce(database, node, "m", endpoint, "vllm")
    assert links(database) == {"n1": ["b/m"], "n2": ["a/m"], "n3": ["a/m", "b/m"]}


def test_a_row_that_the_report_names_is_never_overruled(database: psycopg.Connection) -> None:
    provider(database, "a", base=ONE)
    provider(database, "b", "openrouter")
    model(database, "a", "m", "m")
    model(database, "b", "given", "m")
    announce(database, "n", "m", ONE)
    database.execute("update model_deployments set model_id = (select id from models where name = 'given')")
    assert links(database) == {"n": ["b/given"]}
    database.execute("update models set active = false; update models set active = true, name = name || '2'")
    database.execute("update model_providers set active = false, route_by = 'api_base'")
    assert links(database) == {"n": ["b/given2"]}
    model(database, "b", "second", "M")
    assert links(database) == {"n": ["b/given2", "b/second"]}
    database.execute("delete from models where name = 'given2'")
    assert links(database) == {"n": ["a/m2"]}


def test_another_rule_makes_indexes_and_links_anew(database: psycopg.Connection, database_url: str) -> None:
    provider(database, "a", base=ONE)
    for name in ("one", "two"):
        model(database, "a", name, "m")
    announce(database, "n", "m", ONE)

    def applied_again(recorded: str | None) -> tuple[Any, ...] | None:
        """Which index there is, and the number of links, after one was lost."""
        database.execute("update model_deployments set model_ids = array[model_id]")
        database.execute("delete from schema_files where name = '25_links'")
        if recorded is not None:
            literal = sql.Literal(recorded)
            database.execute(sql.SQL("comment on index model_providers_server_idx is {}").format(literal))
        migrations.migrate(database_url, "model_registry")
        return database.execute(
            "select 'model_providers_server_idx'::regclass::oid, cardinality(model_ids) from model_deployments"
        ).fetchone()

    first = applied_again(None)
    second = applied_again("text of an earlier version")
    assert first is not None
    assert second is not None
    assert (first[1], second[1]) == (1, 2)
    assert second[0] != first[0]
    assert applied_again(None) == (second[0], 1)


def test_lookups_follow_indexes(database: psycopg.Connection) -> None:
    """Triggers ask this for every deployment that they look at, under the write lock."""
    provider(database, "a", base=ONE)
    database.execute(
        """insert into models (provider_id, name, model_id)
           select id, n::text, n::text from model_providers, generate_series(1, 3000) n"""
    )
    database.execute("analyze models, model_providers")

    def whole() -> int:
        database.execute("select pg_stat_force_next_flush()")
        row = database.execute(
            "select sum(pg_stat_get_numscans(t)) from unnest('{models,model_providers}'::regclass[]) t"
        ).fetchone()
        return int(row[0]) if row else 0

    announce(database, "n", "7", ONE)
    before = whole()
    for number in range(20):
        announce(database, f"n{number}", str(number), ONE)
    assert whole() == before
