"""LiteLLM as a gateway kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from model_registry.entities.base import Row
from model_registry.entities.change import Operation
from model_registry.entities.model import Model
from model_registry.entities.provider import Provider
from model_registry.gateways.kind import GatewayKind
from model_registry.gateways.litellm.config import as_table, variable_of
from model_registry.gateways.litellm.deployment import PARAMS, connection, variables_of
from model_registry.gateways.litellm.rendering.render import MAIN_FILE, TABLES, LiteLLMRenderer, concerns
from model_registry.gateways.litellm.suspects import LiteLLMSuspects, settings_of
from model_registry.gateways.litellm.validation.checker import LiteLLMChecker
from model_registry.snapshot.snapshot import Snapshot


def _needs(_snapshot: Snapshot, row: Row) -> Iterable[str]:
    """Return the variables of a row's key and address. LiteLLM starts without them, and fails at each request."""
    if isinstance(row, Provider) and row.active:
        return tuple(variables_of(connection(row), row))
    if isinstance(row, Model) and row.active:
        own = as_table(row.litellm.get(PARAMS))
        return tuple(name for value in own.values() if (name := variable_of(value)))
    return ()


def _relevant(_snapshot: Snapshot, _operations: Sequence[Operation]) -> list[Operation]:
    """Return none: what a write breaks here is one row's entry, which is left out with the reason."""
    return []


def _refuse(_before: Snapshot, _after: Snapshot, _operations: Sequence[Operation]) -> None:
    """Refuse nothing, as above."""


LITELLM = GatewayKind(
    name="litellm",
    main_file=MAIN_FILE,
    media_type="application/yaml",
    tables=TABLES,
    make_renderer=LiteLLMRenderer,
    make_checker=LiteLLMChecker,
    make_suspects=LiteLLMSuspects,
    settings_of=settings_of,
    concerns=concerns,
    relevant=_relevant,
    refuse=_refuse,
    needs=_needs,
)
