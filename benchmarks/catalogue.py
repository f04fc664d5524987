"""Realistic catalogues of any size in a real database, filled by SQL in bulk."""

from __future__ import annotations

import psycopg

SCHEMA = "model_registry"

_TABLES = (
    "service_model_mappings, functions, model_aliases, model_deployments, models, model_providers, "
    "model_services, service_instances, gpu_nodes, config_sections, config_files, api_keys, registry_changes"
)

# Names contain the characters of real ones. One provider in ten is Ollama; one model in ten is not a chat model; one in
# ten has an alias and a mapping, with five mappings per function and twenty per service.
_FILL = """
insert into model_providers (name, type, api_base, api_key_env_var, metadata)
select 'provider_' || i, case when mod(i, 10) = 0 then 'ollama' else 'openai_compatible' end,
       'https://llm-' || i || '.example.com/v1', 'PROVIDER_' || i || '_KEY', '{"location": "eu-central"}'
from generate_series(1, 20) i;

insert into models (provider_id, name, model_id, model_type, capabilities, vram_mb, context_length, description)
select p.id, 'model_' || i, 'organisation-' || mod(i, 97) || '/model-' || i || '.5:latest',
       case when mod(i, 10) = 5 then 'embedding' else 'chat' end, '["chat", "function_calling", "json_mode"]',
       256 * mod(i, 100), 1024 * (1 + mod(i, 128)), 'All-rounder number ' || i || ', good at tools and long documents'
from generate_series(1, %(models)s) i
join model_providers p on p.name = 'provider_' || 1 + mod(i, 20);

insert into model_aliases (model_id, alias, context)
select m.id, 'alias_of_' || m.name, case when mod(i, 20) = 1 then 'tensorzero' end
from generate_series(1, %(models)s, 10) i
join models m on m.name = 'model_' || i;

insert into service_model_mappings (service_name, function_name, variant_name, model_id, priority, weight)
select 'service_' || i / 200, 'function_' || mod(i / 50, 4), 'variant_' || i, m.id, 1 + mod(i / 10, 3), 1 + mod(i, 3)
from generate_series(1, %(models)s, 10) i
join models m on m.name = 'model_' || i
"""


def fill(database_url: str, models: int) -> list[str]:
    """Make the registry contain this many models and nothing else, under a new identity; return the models' ids."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"set search_path to {SCHEMA}")
        # Triggers, including the one that refuses TRUNCATE, do not fire for a replica.
        connection.execute("set session_replication_role = replica")
        connection.execute(f"truncate {_TABLES}")
        connection.execute("update registry_identity set id = gen_random_uuid()")
        connection.execute("set session_replication_role = origin")
        with connection.transaction():
            for statement in _FILL.split(";"):
                connection.execute(statement, {"models": models})
        connection.execute("vacuum analyze")
        return [str(row[0]) for row in connection.execute("select id from models order by name")]
