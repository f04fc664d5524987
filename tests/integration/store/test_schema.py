"""The schema itself: privileges, what counts as a change, and the order in which changes are numbered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import jwt
import psycopg
import pytest

from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.store import migrations
from model_registry.store.constraints import CONSTRAINTS

SCHEMA = "model_registry"

READABLE = {
    *("model_providers", "model_categories", "models", "model_aliases", "functions", "service_model_mappings"),
    *("model_deployments", "gpu_nodes", "model_services", "service_instances", "config_sections", "config_files"),
    *("model_sources", "source_answers", "gateways"),
}
"""Tables that everyone may read."""
PRIVATE = {
    "api_keys",
    "registry_changes",
    "registry_identity",
    "rejected_events",
    "fleet_watch",
    "service_jobs",
    "source_turns",
}
"""Tables that only the service may read."""
VIEWS = {"v_active_models", "v_service_models", "v_active_deployments"}
OF_YOYO = {"_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock"}
OF_THE_RUNNER = OF_YOYO | {"schema_files"}
"""Tables of the migration runner, accessible only to the owner."""
RPC = {
    *("registry_snapshot", "registry_changes_since", "registry_change_page"),
    *("registry_write", "registry_record_events", "registry_expire_nodes"),
    *("registry_heartbeats", "registry_rejected_events", "registry_claim_sources", "registry_end_turns"),
}
"""Functions that the service calls."""
ROLES = ("anon", "authenticated", "service_role")
PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")


def column(database: psycopg.Connection, query: str, *values: object) -> list[Any]:
    """The first column of what a query answers."""
    return [row[0] for row in database.execute(query.encode(), values).fetchall()]


def relations(database: psycopg.Connection, kinds: str) -> set[str]:
    query = "select relname from pg_class where relnamespace = %s::regnamespace and relkind::text = any(%s)"
    return set(column(database, query, SCHEMA, list(kinds)))


def quoted_names(database: psycopg.Connection, constraint: str) -> set[str]:
    """The texts that a check constraint names."""
    definition = column(database, "select pg_get_constraintdef(oid) from pg_constraint where conname = %s", constraint)
    return set(re.findall(r"'([^']+)'", definition[0]))


def test_the_provider_types_of_the_database_are_those_of_the_table(database: psycopg.Connection) -> None:
    routable = {name for name, kind in PROVIDER_TYPES.items() if kind.routable}
    servers = {name for name, kind in PROVIDER_TYPES.items() if kind.runs_on_nodes and kind.gateway_type == name}
    matching = column(database, "select prosrc from pg_proc where prosrc like %s", "%announced_type in (%")

    assert quoted_names(database, "model_providers_type_known") == set(PROVIDER_TYPES)
    assert quoted_names(database, "model_providers_route_by_fits_type") - {"deployments", "^gateway:"} == routable
    for listed in re.findall(r"announced_type in \((\s*'[^)]*)\)", "".join(matching)):  # a list of names
        assert set(re.findall(r"'([^']+)'", listed)) >= servers, (
            "a node may announce them at an openai_compatible provider"
        )
    assert matching


# Access ---------------------------------------------------------------------------------------------------------------


def test_every_table_and_view_is_one_that_these_tests_know(database: psycopg.Connection) -> None:
    assert relations(database, "rpf") == READABLE | PRIVATE | OF_THE_RUNNER
    assert relations(database, "vm") == VIEWS


def test_every_table_has_row_level_security(database: psycopg.Connection) -> None:
    query = (
        "select relname from pg_class where relnamespace = %s::regnamespace and relkind = 'r' and not relrowsecurity"
    )

    assert column(database, query, SCHEMA) == []


def test_every_view_has_its_readers_rights_and_not_its_owners(database: psycopg.Connection) -> None:
    query = """select relname from pg_class where relnamespace = %s::regnamespace and relkind = 'v'
        and not 'security_invoker=true' = any(coalesce(reloptions, '{}'))"""

    assert column(database, query, SCHEMA) == []


def test_no_function_finds_its_tables_by_the_callers_search_path(database: psycopg.Connection) -> None:
    query = """select p.proname from pg_proc p join pg_language l on l.oid = p.prolang
        where p.pronamespace = %s::regnamespace and (l.lanname = 'plpgsql' or p.provolatile = 's')
        and not exists (select from unnest(p.proconfig) c where c like 'search_path=%%')"""
    # These touch no table of ours.
    harmless = {"registry_refuse_truncate", "registry_actor", "deployment_rest", "model_deployments_count_version"}

    assert set(column(database, query, SCHEMA)) <= harmless


@pytest.fixture
def public_reads(database_url: str) -> Iterator[None]:
    """Anybody may read through PostgREST, as after `db migrate --public-reads`."""
    migrations.migrate(database_url, SCHEMA, public_reads=True)
    yield
    migrations.migrate(database_url, SCHEMA, public_reads=False)


@pytest.fixture
def postgrest(stack: Any) -> Iterator[dict[str, httpx.Client]]:
    """A client of PostgREST for each role, and one without a key."""
    secret = stack.secret("postgrest_jwt")
    headers = {
        role: {"Authorization": f"Bearer {jwt.encode({'role': role}, secret, algorithm='HS256')}"}
        for role in (*ROLES, "registry_reader")
    }
    with ExitStack() as clients:
        yield {
            role: clients.enter_context(
                httpx.Client(base_url=stack.environment()["POSTGREST_URL"], headers=sent, trust_env=False)
            )
            for role, sent in {**headers, "nobody": {}}.items()
        }


ROW = {"name": "p", "type": "openai"}


def reads(postgrest: dict[str, httpx.Client]) -> dict[str, set[str]]:
    """The reads of each role; every status other than 200 must be a refusal."""
    found: dict[str, set[str]] = {role: set() for role in postgrest}
    for name in READABLE | VIEWS | PRIVATE | OF_THE_RUNNER:
        for role, client in postgrest.items():
            status = client.get(f"/{name}", params={"limit": 1}).status_code
            assert status in (200, 401 if role in ("anon", "nobody") else 403), (role, name)
            if status == 200:
                found[role].add(name)
    return found


def test_postgrest_lets_nobody_read_without_a_key_for_it(postgrest: dict[str, httpx.Client]) -> None:
    catalogue = READABLE | VIEWS

    assert reads(postgrest) == {
        "nobody": set(),
        "anon": set(),
        "authenticated": set(),
        "registry_reader": catalogue,
        "service_role": catalogue | PRIVATE,
    }


@pytest.mark.usefixtures("public_reads")
def test_with_public_reads_everybody_reads_the_catalogue_and_nothing_else(postgrest: dict[str, httpx.Client]) -> None:
    catalogue = READABLE | VIEWS

    assert reads(postgrest) == {
        "nobody": catalogue,
        "anon": catalogue,
        "authenticated": catalogue,
        "registry_reader": catalogue,
        "service_role": catalogue | PRIVATE,
    }


@pytest.mark.usefixtures("public_reads")
def test_postgrest_lets_nobody_write_but_the_service(
    database: psycopg.Connection, postgrest: dict[str, httpx.Client]
) -> None:
    database.execute("insert into model_providers (name, type) values ('p', 'openai')")
    first: dict[str, str] = dict(
        database.execute(
            "select table_name, column_name from information_schema.columns "
            "where table_schema = %s and ordinal_position = 1",
            [SCHEMA],
        ).fetchall()
    )
    for name in READABLE | PRIVATE | OF_THE_RUNNER:
        for role in ("nobody", "anon", "authenticated", "registry_reader"):
            for method in ("POST", "PATCH", "DELETE"):
                answer = postgrest[role].request(method, f"/{name}", json={first[name]: 1})
                assert answer.status_code in (401, 403), (role, method, name, answer.text)
    assert postgrest["anon"].patch("/model_providers?name=eq.p", json={"name": "q"}).status_code == 401
    assert column(database, "select name from model_providers") == ["p"]

    made = postgrest["service_role"].post("/model_providers", json={**ROW, "name": "q"})
    assert made.status_code == 201
    assert column(database, "select actor from registry_changes order by revision") == ["postgres", "service_role"]


def test_postgrest_lets_only_the_service_call_functions(postgrest: dict[str, httpx.Client]) -> None:
    arguments: dict[str, dict[str, Any]] = {
        "registry_snapshot": {},
        "registry_changes_since": {"known_revision": 0},
        "registry_change_page": {"after_revision": 0, "only_table": None, "only_row": None, "page_size": 1},
        "registry_write": {"operations": [], "known_revision": 0},
        "registry_record_events": {"events": [], "known_revision": 0},
        "registry_expire_nodes": {"heard_through": None, "silent_seconds": 1, "gap_seconds": 1, "known_revision": 0},
        "registry_heartbeats": {},
        "registry_rejected_events": {"page_size": 1, "page_offset": 0},
        "registry_claim_sources": {"claimer": "me", "most": 1, "margin_seconds": 1, "kinds": {}},
        "registry_end_turns": {"claimer": "me", "asked": [], "good": []},
    }
    assert arguments.keys() == RPC
    for function, sent in arguments.items():
        assert postgrest["service_role"].post(f"/rpc/{function}", json=sent).status_code == 200, function
        for role in ("nobody", "anon", "authenticated", "registry_reader"):
            assert postgrest[role].post(f"/rpc/{function}", json=sent).status_code in (401, 403), (role, function)


@pytest.mark.usefixtures("public_reads")
@pytest.mark.parametrize("role", ["nobody", "registry_reader"])
def test_views_show_what_can_be_used(
    database: psycopg.Connection, postgrest: dict[str, httpx.Client], role: str
) -> None:
    database.execute("""
        insert into model_providers (name, type, active) values ('on', 'openai', true), ('off', 'openai', false);
        insert into models (provider_id, name, model_id, active, context_length)
            select p.id, p.name || ' ' || a, 'm', a, 7 from model_providers p, unnest('{true,false}'::boolean[]) a;
        insert into service_model_mappings (service_name, function_name, variant_name, model_id, priority, weight)
            select 's', 'f', name, id, 2, 0.25 from models;
        insert into model_deployments (node_id, provider_type, announced_model, status)
            select 'n', 'openai', status, status from unnest('{loading,loaded,unloaded,error,lost}'::text[]) status;
    """)

    def rows(path: str) -> Any:
        return postgrest[role].get(path).json()

    assert rows("/v_active_models?select=name,provider_name,model_id,context_length") == [
        {"name": "on true", "provider_name": "on", "model_id": "m", "context_length": 7}
    ]
    columns = "service_name,function_name,variant_name,priority,weight,model_name,provider_type,context_length"
    assert rows(f"/v_service_models?select={columns}") == [
        {
            "service_name": "s",
            "function_name": "f",
            "variant_name": "on true",
            "priority": 2,
            "weight": 0.25,
            "model_name": "on true",
            "provider_type": "openai",
            "context_length": 7,
        }
    ]
    assert sorted(row["status"] for row in rows("/v_active_deployments?select=status")) == ["loaded", "loading"]
    counted = postgrest[role].head("/models?active=is.true", headers={"Prefer": "count=exact"})
    assert counted.headers["content-range"].endswith("/2")


# Constraints ----------------------------------------------------------------------------------------------------------


def test_every_constraint_has_a_message_and_every_message_a_constraint(database: psycopg.Connection) -> None:
    query = """
        select conname from pg_constraint c
        left join pg_class r on r.oid = c.conrelid
        left join pg_type t on t.oid = c.contypid
        where coalesce(r.relnamespace, t.typnamespace) = %s::regnamespace
          and contype in ('c', 'f', 'u', 'x') and coalesce(r.relname::text, '') <> all(%s)"""

    names = column(database, query, SCHEMA, list(OF_THE_RUNNER))

    assert sorted(names) == sorted(CONSTRAINTS)


def test_every_table_and_every_column_that_needs_it_is_explained(database: psycopg.Connection) -> None:
    query = """select relname from pg_class where relnamespace = %s::regnamespace and relkind in ('r', 'v')
        and obj_description(oid, 'pg_class') is null"""

    assert set(column(database, query, SCHEMA)) == OF_YOYO
