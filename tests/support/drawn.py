"""Catalogues drawn by hypothesis: one write after another, each accepted by the API and checked by the guard."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from pydantic import ValidationError

from model_registry.entities.change import Operation
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.errors import InvalidConfiguration
from model_registry.gateways.tensorzero.rules.write_guard import refuse_bad_configuration
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import DRAFTS, Catalogue

_ODD = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=8)
NAMES = st.sampled_from(["a", "b", "c", "a/b.c:d", "openai::gpt", "vllm::x", "v_fallback", "x y", "é"]) | _ODD
TEXTS = st.text(max_size=8).filter(lambda text: "\0" not in text and text.isprintable())

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
JSON = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)
_MILLISECONDS = st.sampled_from([0, 1, 5000, 900_000, 900_001])
_TIMEOUTS = st.fixed_dictionaries({}, optional={"non_streaming": st.fixed_dictionaries({"total_ms": _MILLISECONDS})})
_BODY = st.lists(st.fixed_dictionaries({"pointer": TEXTS, "value": JSON}), max_size=2)
_MODELS = st.sampled_from(["a", "b", "c", "openai::gpt", "nobody"])
_NAMED = st.sampled_from(["a", "b", "c"])

PROVIDER_EXTRAS = st.fixed_dictionaries(
    {},
    optional={
        "region": st.sampled_from(["us-east-1", "sdk", "none"]),
        "hosted_provider": st.sampled_from(["tgi", "openai", "x"]),
        "location": TEXTS,
        "project_id": TEXTS,
        "endpoint_id": TEXTS,
        "api_key_location": st.sampled_from(["none", "dynamic::k", "env::K", "sk-123", None]),
        "credential_location": st.sampled_from(["dynamic::k", "path_from_env::K", "env::K"]),
        "api_type": st.sampled_from(["responses", "chat_completions"]),
        "timeouts": _TIMEOUTS,
        "extra_body": _BODY,
        "reasoning_format": TEXTS,
    },
)
_MODEL_EXTRAS = st.fixed_dictionaries(
    {},
    optional={
        "provider_key": NAMES,
        "provider": PROVIDER_EXTRAS,
        "model": st.fixed_dictionaries(
            {},
            optional={
                "timeouts": _TIMEOUTS,
                "skip_relay": st.booleans(),
                "namespace": NAMES,
                "timeout_ms": _MILLISECONDS,
            },
        ),
    },
)
_VARIANT_EXTRAS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": _SCALARS,
        "max_tokens": st.integers(-1, 2**33),
        "seed": st.integers(-1, 5) | st.floats(0, 1),
        "json_mode": st.sampled_from(["on", "strict", "yes"]),
        "retries": st.fixed_dictionaries({"num_retries": st.integers(-1, 3), "max_delay_s": st.floats(0, 9)}),
        "stop_sequences": st.lists(TEXTS, max_size=2),
        "extra_body": _BODY,
        "type": st.sampled_from(["chat_completion", "experimental_dynamic_in_context_learning"]),
        "embedding_model": _MODELS,
        "k": st.integers(-1, 3),
    },
)
_OWN_VARIANT = st.fixed_dictionaries(
    {"type": st.just("experimental_best_of_n_sampling"), "candidates": st.lists(_NAMED, max_size=2)},
    optional={"evaluator": st.fixed_dictionaries({"model": _MODELS})},
)
_STATIC = st.fixed_dictionaries(
    {"type": st.just("static"), "candidate_variants": st.dictionaries(_NAMED, st.floats(-1, 2), max_size=2)},
    optional={"fallback_variants": st.lists(_NAMED, max_size=2)},
)
_FUNCTION_EXTRAS = st.fixed_dictionaries(
    {}, optional={"variants": st.dictionaries(_NAMED, _OWN_VARIANT, max_size=1), "experimentation": _STATIC}
)


_KEYS = (
    "provider_key",
    "provider",
    "model",
    "variants",
    "experimentation",
    "type",
    "namespace",
    "timeouts",
    "api_base",
    "api_key_location",
    "evaluators",
    "tools",
    "json_mode",
)
"""Known keys, for arbitrary values."""


def _mostly_empty(extras: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Any]:
    wild = st.dictionaries(NAMES | st.sampled_from(_KEYS), JSON, max_size=2)
    return st.one_of(st.just({}), st.just({}), extras, extras, wild)


_COLUMNS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "model_providers": {
        "name": NAMES,
        "type": st.sampled_from(sorted(PROVIDER_TYPES)) | st.sampled_from(["ollama", "openai"]),
        "api_base": st.sampled_from(
            [None, "http://h.example/v1", "https://h.example/v1/", "http://h/v1/chat/completions"]
        ),
        "api_key_env_var": st.sampled_from([None, None, "SOME_KEY", "OPENAI_API_KEY"]),
        "tensorzero": _mostly_empty(PROVIDER_EXTRAS),
        "only_with_key": st.sampled_from([False, True]),
        "route_by": st.sampled_from([None, None, "api_base", "deployments"]),
        "active": st.sampled_from([True, True, True, False]),
    },
    "models": {
        "name": NAMES,
        "model_id": st.sampled_from(["gpt", "x"]) | NAMES,
        "model_type": st.sampled_from(["chat", "chat", "vl", "embedding", "embedding", "tts"]),
        "routing_priority": st.integers(-1, 1),
        "tensorzero": _mostly_empty(_MODEL_EXTRAS),
        "active": st.sampled_from([True, True, True, False]),
    },
    "model_aliases": {"alias": NAMES, "context": st.sampled_from([None, "default", "tensorzero", "elsewhere"])},
    "functions": {
        "service_name": _NAMED,
        "function_name": _NAMED,
        "name": st.none() | NAMES,
        "type": st.sampled_from(["chat", "json"]),
        "description": st.none() | TEXTS,
        "tensorzero": _mostly_empty(_FUNCTION_EXTRAS),
    },
    "service_model_mappings": {
        "service_name": _NAMED,
        "function_name": _NAMED,
        "variant_name": _NAMED | NAMES,
        "priority": st.integers(0, 2),
        "weight": st.sampled_from([0.0, 1.0, 0.25, 1e300]),
        "tensorzero": _mostly_empty(_VARIANT_EXTRAS),
    },
}
_REFERENCES = {
    "models": {"provider_id": "model_providers"},
    "model_aliases": {"model_id": "models"},
    "service_model_mappings": {"model_id": "models", "fallback_model_id": "models"},
}
_UNIQUE = {
    "model_providers": ("name",),
    "models": ("provider_id", "name"),
    "model_aliases": ("alias", "context"),
    "functions": ("service_name", "function_name"),
    "service_model_mappings": ("service_name", "function_name", "variant_name"),
}


@dataclass
class Drawn:
    """A registry whose writes the guard has checked, with its intermediate states."""

    snapshot: Snapshot = field(default_factory=Snapshot.empty)
    history: list[Snapshot] = field(default_factory=list)
    guarded: bool = True

    def write(self, operation: Operation) -> None:
        """One write, unless the guard refuses it."""
        try:
            if self.guarded:
                refuse_bad_configuration(self.snapshot, [operation])
        except InvalidConfiguration:
            return
        self.snapshot = self.snapshot.preview([operation])
        self.history.append(self.snapshot)


@st.composite
def catalogues(draw: st.DrawFn, *, writes: int = 40, guarded: bool = True) -> Drawn:
    """A registry after some writes: inserts, updates and deletions that keep the database's own rules."""
    drawn = Drawn(guarded=guarded)
    for operation in _good():
        drawn.write(operation)
    for number in range(draw(st.integers(0, writes))):
        wanted = _operation(draw, drawn.snapshot, f"row-{number}")
        if wanted is not None and _database_would_take(drawn.snapshot, wanted):
            drawn.write(wanted)
    return drawn


def _good() -> list[Operation]:
    """A base to build on: most rows drawn alone refer to nothing."""
    catalogue = Catalogue()
    local, hosted = catalogue.provider("local"), catalogue.provider("hosted", "openai")
    a, b = catalogue.model(local, "a"), catalogue.model(hosted, "b")
    catalogue.model(local, "c", model_type="embedding")
    catalogue.function("a", "a", type="json")
    catalogue.mapping(a, "a", service_name="b", function_name="b")
    catalogue.mapping(b, "b", service_name="b", function_name="b", priority=2)
    return catalogue.operations


def _operation(draw: st.DrawFn, snapshot: Snapshot, row_id: str) -> Operation | None:
    table = draw(st.sampled_from([*_COLUMNS, "models", "models", "service_model_mappings", "service_model_mappings"]))
    rows = [row.id for row in snapshot.tables[table]]
    action = draw(st.sampled_from(["insert"] * 5 + ["update", "delete"])) if rows else "insert"
    if action == "delete":
        return Operation(table, "delete", draw(st.sampled_from(rows)))
    columns = {name: draw(strategy) for name, strategy in _COLUMNS[table].items()}
    for name, target in _REFERENCES.get(table, {}).items():
        ids = [row.id for row in snapshot.tables[target]]
        if not ids:
            return None
        columns[name] = (
            draw(st.none() | st.sampled_from(ids)) if name.startswith("fallback") else draw(st.sampled_from(ids))
        )
    if action == "update":
        row_id = draw(st.sampled_from(rows))
        keep = draw(st.lists(st.sampled_from(sorted(columns)), min_size=1, max_size=2))
        columns = {**snapshot.tables[table][row_id].model_dump(), **{name: columns[name] for name in keep}}
    try:
        row = DRAFTS[table].model_validate(columns).model_dump()
    except ValidationError:
        return None
    return Operation(table, "insert" if action == "insert" else "update", row_id, row)


def _database_would_take(snapshot: Snapshot, operation: Operation) -> bool:
    """Unique keys, and valid references."""
    if operation.action == "delete":
        row = snapshot.tables[operation.table][operation.id]
        match operation.table:
            case "model_providers":
                return not snapshot.models.where("provider", row.id)
            case "models":
                return not (snapshot.mappings.where("model", row.id) or snapshot.aliases.where("model", row.id))
            case "functions":
                return not snapshot.mappings.where("function", (row.service_name, row.function_name))
        return True
    after = snapshot.preview([operation])
    if len({row.name for row in after.functions}) < len(after.functions):
        return False
    keys = [tuple(getattr(row, name) for name in _UNIQUE[operation.table]) for row in after.tables[operation.table]]
    return len(set(keys)) == len(keys)
