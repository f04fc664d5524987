"""Rules of `[models]` and `[embedding_models]`: names, routing, timeouts. Providers are in `providers.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from model_registry.entities.provider_types import has_reserved_prefix
from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import Path
from model_registry.gateways.tensorzero.rules.context import Surroundings
from model_registry.gateways.tensorzero.rules.parts import TIMEOUTS, namespace
from model_registry.gateways.tensorzero.rules.providers import provider
from model_registry.gateways.tensorzero.rules.shape import (
    Shape,
    TableOf,
    TablesOf,
    boolean,
    list_of,
    refused,
    text,
    unlimited_timeout,
)


def _routing(path: Path, model: Mapping[str, Any], _: Surroundings) -> Iterator[Reason]:
    """Check that routing names every provider once. For embedding models the gateway does not, and then fails."""
    routing, providers = model.get("routing"), model.get("providers")
    if not isinstance(routing, list) or not isinstance(providers, Mapping):
        return
    here = (*path, "routing")
    if not routing:
        yield refused(here, "is empty: no provider would ever be asked; name the providers in order")
    for name, count in Counter(map(str, routing)).items():
        if name not in providers:
            yield refused(here, f"names {name!r}, which is not among the providers; add it, or take it out")
        if count > 1:
            yield refused(here, f"names {name!r} more than once; take it out once")
    for name in providers:
        if name not in routing:
            yield refused((*path, "providers", name), "is not in routing; add it there, or remove it")


def _provider_name(name: str) -> str | None:
    return "must not start with 'tensorzero::'; rename it" if name.startswith("tensorzero::") else None


def _model_name(name: str) -> str | None:
    if has_reserved_prefix(name):
        return f"starts with {name.partition('::')[0]}::, which the gateway keeps for itself; rename the model"
    return None


_COMMON: dict[str, Shape] = {"routing": list_of(text), "providers": TablesOf(provider, _provider_name)}
_REQUIRED = frozenset({"routing", "providers"})

MODEL = TableOf(_COMMON | {"timeouts": TIMEOUTS, "skip_relay": boolean, "namespace": namespace}, _REQUIRED, (_routing,))
EMBEDDING_MODEL = TableOf(
    _COMMON | {"timeout_ms": unlimited_timeout},
    _REQUIRED,
    (_routing,),
    removed={"timeouts": "write timeout_ms", "timeout": "write timeout_ms"},
)

MODELS = TablesOf(MODEL, _model_name)
EMBEDDING_MODELS = TablesOf(EMBEDDING_MODEL, _model_name)
