"""Emptying a database between tests, faster than making a new one."""

from __future__ import annotations

import psycopg

TABLES = (
    "service_model_mappings, functions, model_aliases, model_deployments, models, model_providers, "
    "gpu_nodes, config_sections, config_files, api_keys, registry_changes"
)


def empty(database_url: str, schema: str) -> None:
    """Empty every table, and make it another registry: whoever still holds a snapshot must load anew."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"set search_path to {schema}")
        # Triggers, the one that refuses TRUNCATE among them, do not fire for a replica.
        connection.execute("set session_replication_role = replica")
        connection.execute(f"truncate {TABLES}")
        connection.execute("update registry_identity set id = gen_random_uuid(), history_from = 0")
