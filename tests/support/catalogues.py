"""Catalogues without a database: rows made of drafts, as the API would write them; what of a snapshot is compared."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

from model_registry.entities.base import Draft
from model_registry.entities.change import Operation
from model_registry.entities.function import FunctionDraft, MappingDraft
from model_registry.entities.model import AliasDraft, CategoryDraft, ModelDraft
from model_registry.entities.model_card import CARD_FIELDS, ModelCard, known
from model_registry.entities.provider import ProviderDraft
from model_registry.snapshot.snapshot import Snapshot
from support.paths import FIXTURES

DRAFTS: dict[str, type[Draft]] = {
    "model_providers": ProviderDraft,
    "models": ModelDraft,
    "model_categories": CategoryDraft,
    "model_aliases": AliasDraft,
    "functions": FunctionDraft,
    "service_model_mappings": MappingDraft,
}


class Catalogue:
    """Collects the operations of one write, row by row."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._numbers = count(1)

    def _insert(self, table: str, card: dict[str, Any] | None = None, **columns: Any) -> str:
        row = DRAFTS[table].model_validate(columns).model_dump(exclude_unset=True)
        if card:
            row["card"] = known(ModelCard.model_validate(card))
        row_id = f"{table}-{next(self._numbers):04}"
        self.operations.append(Operation(table, "insert", row_id, row))
        return row_id

    def provider(self, name: str = "local", type: str = "openai_compatible", **columns: Any) -> str:  # noqa: A002 (the column's name)
        """By default a self-hosted server without a key."""
        if type in {"openai_compatible", "ollama", "vllm", "sglang", "tgi", "azure"}:
            columns.setdefault("api_base", f"http://{type.replace('_', '-')}.example/v1")
        return self._insert("model_providers", name=name, type=type, **columns)

    def model(self, provider_id: str, name: str = "m", **columns: Any) -> str:
        """By default a chat model. Fields of its card stand beside the others, as over HTTP."""
        card = {field: columns.pop(field) for field in CARD_FIELDS if field in columns}
        return self._insert("models", card, provider_id=provider_id, name=name, **{"model_id": f"{name}-id", **columns})

    def category(self, key: str, **columns: Any) -> str:
        """A category of models."""
        return self._insert("model_categories", key=key, **{"name": key, **columns})

    def alias(self, model_id: str, alias: str, context: str | None = None) -> str:
        """An alias."""
        return self._insert("model_aliases", model_id=model_id, alias=alias, context=context)

    def function(self, function_name: str = "chat", service_name: str = "svc", **columns: Any) -> str:
        """By default the chat function `svc_chat`."""
        return self._insert("functions", service_name=service_name, function_name=function_name, **columns)

    def mapping(self, model_id: str, variant_name: str = "v", **columns: Any) -> str:
        """By default a variant of `svc_chat`."""
        names = {"service_name": "svc", "function_name": "chat", "variant_name": variant_name}
        return self._insert("service_model_mappings", **{**names, "model_id": model_id, **columns})

    def node(self, node_id: str = "n", **columns: Any) -> str:
        """A node as the database holds it."""
        return self._add("gpu_nodes", {"node_id": node_id, **columns})

    def deployment(self, model_id: str | None, node_id: str = "n", **columns: Any) -> str:
        """By default an Ollama that has the model loaded, with its endpoint."""
        said = {"provider_type": "ollama", "announced_model": "m-id", "endpoint": f"http://{node_id}:11434"}
        return self._add("model_deployments", {**said, "node_id": node_id, "model_id": model_id, **columns})

    def _add(self, table: str, row: dict[str, Any]) -> str:
        row_id = f"{table}-{next(self._numbers):04}"
        self.operations.append(Operation(table, "insert", row_id, row))
        return row_id

    def snapshot(self) -> Snapshot:
        """The registry with these rows, unguarded."""
        return Snapshot.empty().preview(self.operations)


def stored(path: Path = FIXTURES / "catalog.json") -> Catalogue:
    """The project's own small production catalogue."""
    document = json.loads(path.read_text("utf-8"))
    catalogue = Catalogue()
    providers = {row["name"]: catalogue.provider(**row) for row in document["providers"]}
    models = {
        (row["provider"], row["model_id"]): catalogue.model(providers[row["provider"]], **_without(row, "provider"))
        for row in document["models"]
    }
    for row in document["aliases"]:
        catalogue.alias(models[row["provider"], row["model_id"]], row["alias"], row["context"])
    for row in document["mappings"]:
        model_id = models[row["provider"], row["model_id"]]
        catalogue.mapping(model_id, **_without(row, "provider", "model_id"))
    return catalogue


def _without(row: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in keys}


HEARTBEATS = frozenset({"event_at", "last_used_at", "last_seen_at", "loaded_at", "vram_used_mb", "vram_free_mb"})
"""What may move without being a change, so that a snapshot that was brought forward may not have it."""


def contents(snapshot: Snapshot) -> dict[str, Any]:
    """Everything that questions to a snapshot can be answered with, except heartbeats."""
    return {
        name: {
            "rows": [row.model_dump(exclude=HEARTBEATS) for row in table],
            "indexes": {
                index: {key: [row.id for row in table.where(index, key)] for key in table.keys(index)}
                for index in table.spec.indexes
            },
            "number": len(table),
        }
        for name, table in snapshot.tables.items()
    }
