"""Imports LiteLLM configurations into registries without a database, and reads back what a gateway would get."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from model_registry.catalog.secret_check import refuse_secrets
from model_registry.entities.gateway import Gateway
from model_registry.gateways.litellm.config import MODEL_LIST, LitellmConfig
from model_registry.gateways.litellm.importing.literal_keys import without_literal_keys
from model_registry.gateways.litellm.importing.plan import ImportOptions, plan_import
from model_registry.gateways.litellm.reading.parse import parse_config
from model_registry.gateways.litellm.rendering.render import LiteLLMRenderer
from model_registry.gateways.scope import scoped
from model_registry.imports.plan import ImportPlan
from model_registry.snapshot.snapshot import Snapshot


def counted_ids() -> Callable[[], str]:
    """Return a maker of ids."""
    numbers = itertools.count(1)
    return lambda: f"00000000-0000-4000-8000-{next(numbers):012d}"


@dataclass(slots=True)
class Registry:
    """A registry without a database."""

    snapshot: Snapshot
    new_id: Callable[[], str]

    @classmethod
    def empty(cls) -> Registry:
        """An empty one."""
        return cls(Snapshot.empty(), counted_ids())

    def plan(self, files: Mapping[str, str], **options: Any) -> ImportPlan:
        """Plan an import, and check it as a write is checked."""
        name = next(iter(files))
        plan = plan_import(parse_config(files, name), self.snapshot, self.new_id, ImportOptions(file=name, **options))
        refuse_secrets(self.snapshot, plan.operations)
        return plan

    def take(self, files: Mapping[str, str], **options: Any) -> ImportPlan:
        """Import a configuration."""
        plan = self.plan(files, **options)
        self.snapshot = self.snapshot.preview(plan.operations)
        return plan

    def gateway(self, name: str | None = None) -> Gateway:
        """The gateway of this name, or the only one of the kind."""
        (row,) = (row for row in self.snapshot.gateways if row.kind == "litellm" and name in {None, row.name})
        return row

    def text(self, name: str | None = None) -> str:
        """What a gateway gets."""
        gateway = self.gateway(name)
        rendered = LiteLLMRenderer().render(scoped(self.snapshot, gateway), gateway)
        return rendered.files["config.yaml"].decode()

    def config(self, name: str | None = None) -> LitellmConfig:
        """What a gateway gets, read."""
        return parse_config({"config.yaml": self.text(name)})


def meant(files: Mapping[str, str]) -> dict[str, Any]:
    """What a gateway should get of these files: without their keys, and without entries that LiteLLM does not take."""
    config, _ = without_literal_keys(parse_config(files, next(iter(files))))
    return {**config.sections, MODEL_LIST: [entry.as_table() for entry in config.entries]}
