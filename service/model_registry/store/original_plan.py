"""Plans how the rows of the original registry become rows of this one. Pure: reading and writing are in `adoption.py`.

The original has fewer rules: models of one name, one alias for two models, deployments that multiply. A row that breaks
a rule is changed, one that cannot stand beside another is left out, and both are named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, get_args

from model_registry.entities.deployment import DEPLOYMENT_STATUSES
from model_registry.entities.model import ModelType
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.entities.server_address import server_address
from model_registry.store.original_rows import COLUMNS, OriginalRow

Row = dict[str, Any]
Rows = Mapping[str, list[Row]]

KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "model_providers": (("id",), ("name",)),
    "models": (("id",), ("provider_id", "model_id"), ("provider_id", "name")),
    "model_aliases": (("alias", "context"),),
    "functions": (("service_name", "function_name"), ("name",)),
    "service_model_mappings": (("id",), ("service_name", "function_name", "variant_name")),
    "gpu_nodes": (("node_id",),),
    "model_deployments": (("id",), ("node_id", "provider_type", "announced_model")),
}
"""The tables that rows go to, in the order in which they refer to each other, and how a row of each is found."""

_KEY, _NAME, _TYPE = 200, 300, 64
"""Longest names, in characters."""
_SUFFIX = 6
_MODEL_TYPES: tuple[str, ...] = get_args(ModelType)
_DEFAULT_PRIORITY = 5
"""Where the original has null."""


@dataclass
class AdoptionPlan:
    """What to insert, and what does not come over as it was."""

    inserts: dict[str, list[Row]] = field(default_factory=lambda: {table: [] for table in KEYS})
    present: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COLUMNS, 0))
    """Rows that are here already, by id or by key; they stay as they are."""
    changed: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def plan_adoption(original: Rows, existing: Rows) -> AdoptionPlan:
    """Plan what is missing here: of the rows of `COLUMNS`' tables, beside the rows of `KEYS`' tables."""
    return _Planner(existing).planned(original)


class _Planner:
    """Keeps which row of the original is which row here."""

    def __init__(self, existing: Rows) -> None:
        self._plan = AdoptionPlan()
        self._now = datetime.now(UTC).isoformat()
        self._index: dict[tuple[str, tuple[str, ...]], dict[tuple[Any, ...], Row]] = {
            (table, key): {} for table, keys in KEYS.items() for key in keys
        }
        self._ids: dict[str | None, str] = {}
        """The original's ids of providers and models -> ours."""
        for table, rows in existing.items():
            for row in rows:
                self._note(table, row)

    def planned(self, original: Rows) -> AdoptionPlan:
        steps: dict[str, Callable[[OriginalRow], None]] = {
            "model_providers": self._provider,
            "models": self._model,
            "model_aliases": self._alias,
            "service_model_mappings": self._mapping,
            "model_deployments": self._deployment,
        }
        for table, step in steps.items():
            rows = [OriginalRow(table, columns) for columns in original[table]]
            for row in sorted(rows, key=lambda row: row.moment, reverse=table == "model_deployments"):
                step(row)
                self._plan.changed += row.changes
        return self._plan

    def _provider(self, row: OriginalRow) -> None:
        named = self._find("model_providers", name=row["name"])
        theirs, ours = (server_address(of["api_base"]) if of else None for of in (row, named))
        # At another address it is another server: its models are not there.
        same_name = None if theirs and ours and theirs != ours else named
        known = self._find("model_providers", id=row["id"]) or same_name
        if known is not None:
            self._is_present("model_providers", row, known)
            if row["api_base"] and known["api_base"] != row["api_base"]:
                row.change(f"a provider of this name is here, at {known['api_base']}: it stays as it is")
            return
        name = self._free("model_providers", row, row.name("name", _KEY - _SUFFIX))
        columns = {
            "name": name,
            "type": row.one_of("type", tuple(PROVIDER_TYPES), "custom"),
            "api_base": row.checked("api_base"),
            "api_key_env_var": row.checked("api_key_env_var"),
            "active": row["active"] is True,
        }
        self._insert("model_providers", row, columns | {"metadata": row.metadata()})

    def _model(self, row: OriginalRow) -> None:
        provider_id = self._ids[row["provider_id"]]
        model_id = row.name("model_id", _NAME)
        same = {"provider_id": provider_id, "model_id": row["model_id"]}
        known = self._find("models", id=row["id"]) or self._find("models", **same)
        if known is not None:
            self._is_present("models", row, known)
            return
        name = self._free("models", row, row.name("name", _NAME - _SUFFIX), provider_id=provider_id)
        columns = {
            "provider_id": provider_id,
            "name": name,
            "model_id": model_id,
            "model_type": row.one_of("model_type", _MODEL_TYPES, "chat"),
            "capabilities": row.tags("capabilities"),
            "vram_mb": row.checked("vram_mb"),
            "context_length": row.checked("context_length"),
            "description": row["description"],
            "active": row["active"] is True,
        }
        self._insert("models", row, columns | {"metadata": row.metadata()})

    def _alias(self, row: OriginalRow) -> None:
        model_id, alias = self._ids[row["model_id"]], row.name("alias", _NAME)
        context = row.name("context", _KEY) if row["context"] else None
        known = self._find("model_aliases", alias=alias, context=context)
        if known is None:
            self._insert("model_aliases", row, {"model_id": model_id, "alias": alias, "context": context})
        elif known["model_id"] == model_id:
            self._plan.present["model_aliases"] += 1
        else:
            ours, theirs = (self._find("models", id=of) or {"name": of} for of in (known["model_id"], model_id))
            where = f" in the context {context!r}" if context else ""
            self._plan.left_out.append(
                f"model_aliases {alias!r}{where} for the model {theirs['name']!r}: it names {ours['name']!r} already"
            )

    def _mapping(self, row: OriginalRow) -> None:
        names = {column: row.name(column, _KEY) for column in ("service_name", "function_name", "variant_name")}
        table = "service_model_mappings"
        if self._find(table, id=row["id"]) or self._find(table, **names):
            self._plan.present[table] += 1
            return
        self._function(row, names["service_name"], names["function_name"])
        weight = row.checked("weight")
        columns = {
            **names,
            "model_id": self._ids[row["model_id"]],
            "priority": _DEFAULT_PRIORITY if row["priority"] is None else row["priority"],
            "weight": 1.0 if row["weight"] is None else weight or 0.0,
            "fallback_model_id": self._ids.get(row["fallback_model_id"]),
        }
        self._insert(table, row, columns | {"metadata": row.metadata()})

    def _function(self, row: OriginalRow, service: str, function: str) -> None:
        """Make the function of a mapping: `a_b` with `c` and `a` with `b_c` would have one name at the gateway."""
        if self._find("functions", service_name=service, function_name=function) is None:
            name = self._free("functions", row, function if service == "tensorzero" else f"{service}_{function}")
            made = {"service_name": service, "function_name": function, "name": name}
            self._note("functions", made)
            self._plan.inserts["functions"].append(made)

    def _deployment(self, row: OriginalRow) -> None:
        model = self._find("models", id=self._ids[row["model_id"]]) or {}
        provider = self._find("model_providers", id=model["provider_id"]) or {}
        key = {
            "node_id": row.name("node_id", _KEY),
            "provider_type": str(row["provider_type"] or provider["type"])[:_TYPE],
            "announced_model": model["model_id"],
        }
        if self._find("model_deployments", id=row["id"]):
            self._plan.present["model_deployments"] += 1
            return
        if self._find("model_deployments", **key):
            self._plan.left_out.append(
                f"model_deployments {key['announced_model']!r} on {key['node_id']!r} of {row.moment}: "
                "a newer one is here"
            )
            return
        columns = {
            **key,
            "model_id": model["id"],
            "status": row.one_of("status", DEPLOYMENT_STATUSES, "unloaded"),
            "vram_allocated_mb": row.checked("vram_allocated_mb"),
            "loaded_at": row["loaded_at"],
            "last_used_at": row["last_used_at"],
            "error_message": row["error_message"],
        }
        if row.moment:
            columns["event_at"] = min(row.moment, self._now)  # what a node says next is newer
        self._insert("model_deployments", row, columns | {"metadata": row.metadata()})
        if self._find("gpu_nodes", node_id=key["node_id"]) is None:
            self._note("gpu_nodes", {"node_id": key["node_id"]})
            self._plan.inserts["gpu_nodes"].append({"node_id": key["node_id"]})

    def _find(self, table: str, **key: object) -> Row | None:
        return self._index[table, tuple(key)].get(tuple(key.values()))

    def _note(self, table: str, row: Row) -> None:
        for columns in KEYS[table]:
            self._index[table, columns].setdefault(tuple(row.get(column) for column in columns), row)

    def _insert(self, table: str, row: OriginalRow, columns: Row) -> None:
        made = row.finished(columns)
        self._ids[row["id"]] = row["id"]
        self._note(table, made)
        self._plan.inserts[table].append(made)

    def _is_present(self, table: str, row: OriginalRow, known: Row) -> None:
        self._ids[row["id"]] = known["id"]
        self._plan.present[table] += 1

    def _free(self, table: str, row: OriginalRow, name: str, **of: str) -> str:
        """The name, or the first with a number behind it that no other row has."""
        free, number = name, 1
        while self._find(table, **of, name=free) is not None:
            number += 1
            free = f"{name}_{number}"
        if free != name:
            row.change(f"there is a row named {name!r} in {table} already: this is {free!r}")
        return free
