"""The tables of a snapshot: the rows of each, their order, and the indexes that look-ups need.

The database has the same list in schema/00_lists.sql.
"""

from __future__ import annotations

from typing import Any

from model_registry.entities.api_key import ApiKey
from model_registry.entities.config import ConfigFile, ConfigSection
from model_registry.entities.deployment import Deployment
from model_registry.entities.function import Function, Mapping
from model_registry.entities.gateway import Gateway
from model_registry.entities.model import Alias, Category, Model, canonical
from model_registry.entities.model_name import name_key
from model_registry.entities.model_service import ModelService, ServiceInstance
from model_registry.entities.node import Node
from model_registry.entities.provider import Provider
from model_registry.entities.server_address import server_place
from model_registry.entities.source import Source, SourceAnswer
from model_registry.entities.training_entry import entry_keys
from model_registry.snapshot.table import TableSpec

SPECS: dict[str, TableSpec[Any]] = {
    spec.name: spec
    for spec in (
        TableSpec(
            "model_providers",
            Provider,
            lambda r: (r.name,),
            {
                "name": lambda r: (r.name,),
                "route_by": lambda r: (r.route_by,) if r.route_by else (),
                "place": lambda r: server_place(r.api_base),
            },
        ),
        TableSpec("model_categories", Category, lambda r: (r.key,), {"key": lambda r: (r.key,)}),
        TableSpec(
            "models",
            Model,
            lambda r: (r.name, r.routing_priority, r.provider_id),
            {
                "name": lambda r: (r.name,),
                "model_id": lambda r: (r.model_id,),
                "key": lambda r: {name_key(r.model_id), name_key(r.name)},
                "provider": lambda r: (r.provider_id,),
                "capability": lambda r: {canonical(tag) for tag in r.capabilities},
                "training": lambda r: entry_keys(r.card, r.model_id),
                "training_name": lambda r: [name for _, name in entry_keys(r.card, r.model_id)],
            },
        ),
        TableSpec(
            "model_aliases",
            Alias,
            lambda r: (r.alias, r.context or ""),
            {"alias": lambda r: (r.alias,), "model": lambda r: (r.model_id,)},
        ),
        TableSpec(
            "functions",
            Function,
            lambda r: (r.service_name, r.function_name),
            {
                "name": lambda r: (r.name,),
                "key": lambda r: ((r.service_name, r.function_name),),
                "gateway": lambda r: (r.gateway,),
            },
        ),
        TableSpec(
            "service_model_mappings",
            Mapping,
            lambda r: (r.service_name, r.function_name, r.priority, -r.weight, r.variant_name),
            {
                "service": lambda r: (r.service_name,),
                "function": lambda r: ((r.service_name, r.function_name),),
                "model": lambda r: {r.model_id, r.fallback_model_id} - {None},
            },
        ),
        TableSpec(
            "model_deployments",
            Deployment,
            lambda r: (r.node_id, r.provider_type, r.announced_model),
            {
                "key": lambda r: ((r.node_id, r.provider_type, r.announced_model),),
                "node": lambda r: (r.node_id,),
                "model": lambda r: r.linked,
            },
        ),
        TableSpec("gpu_nodes", Node, lambda r: (r.node_id,), {"node_id": lambda r: (r.node_id,)}),
        TableSpec(
            "model_services",
            ModelService,
            lambda r: (r.model_type.lower(),),
            {"type": lambda r: (r.model_type.lower(),)},
        ),
        TableSpec(
            "service_instances",
            ServiceInstance,
            lambda r: (r.service_id,),
            {"service_id": lambda r: (r.service_id,), "model_service": lambda r: (r.model_service_id,)},
        ),
        TableSpec("model_sources", Source, lambda r: (r.name,), {"name": lambda r: (r.name,)}),
        TableSpec("source_answers", SourceAnswer, lambda r: (r.id,), {}),
        TableSpec(
            "gateways",
            Gateway,
            lambda r: (r.name,),
            {"name": lambda r: (r.name,), "content_of": lambda r: (r.content_of,)},
        ),
        TableSpec(
            "config_sections",
            ConfigSection,
            lambda r: (r.name, r.gateway),
            {"name": lambda r: (r.name,), "gateway": lambda r: (r.gateway,)},
        ),
        TableSpec(
            "config_files",
            ConfigFile,
            lambda r: (r.path, r.gateway),
            {"path": lambda r: (r.path,), "gateway": lambda r: (r.gateway,)},
        ),
        TableSpec("api_keys", ApiKey, lambda r: (r.name,), {"key_hash": lambda r: (r.key_hash,)}),
    )
}
