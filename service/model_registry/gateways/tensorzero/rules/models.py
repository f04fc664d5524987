"""Rules of `[models]` and `[embedding_models]`: names, routing, timeouts, and each provider by its type.

The types themselves are in `entities/provider_types.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from model_registry.entities.field_errors import reasons_of
from model_registry.entities.json_types import Toml
from model_registry.entities.provider import ApiBase
from model_registry.entities.provider_types import (
    COMMON_EMBEDDING_KEYS,
    COMMON_KEYS,
    GATEWAY_TYPES,
    ProviderType,
    has_reserved_prefix,
)
from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import Path
from model_registry.gateways.tensorzero.rules.parts import (
    COST,
    EXTRA_BODY,
    EXTRA_HEADERS,
    TIMEOUTS,
    credential,
    namespace,
)
from model_registry.gateways.tensorzero.rules.shape import (
    Shape,
    Surroundings,
    TableOf,
    TablesOf,
    anything,
    boolean,
    list_of,
    one_of,
    refused,
    text,
    unlimited_timeout,
    unreserved,
)

_URL = TypeAdapter[str](ApiBase)
_ENDINGS = {"/chat/completions": None, "/messages": "anthropic"}
"""Paths that the gateway adds to a base URL -> the only type that does; None: all types."""

_SHAPES: Mapping[str, Shape] = {
    "type": text,
    "timeouts": TIMEOUTS,
    "timeout_ms": unlimited_timeout,
    "cost": COST,
    "batch_cost": COST,
    "extra_body": EXTRA_BODY,
    "extra_headers": EXTRA_HEADERS,
    "discard_unknown_chunks": boolean,
    "api_type": one_of("chat_completions", "responses"),
    "include_encrypted_reasoning": boolean,
    "provider_tools": list_of(anything),
    "beta_structured_outputs": boolean,
    "parse_think_blocks": boolean,
    "allow_auto_detect_region": boolean,
    "hosted_provider": one_of("openai", "tgi"),
}
"""Shapes of the keys that are not strings."""


def provider(path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
    """Check a provider table: its type, then the rules of that type."""
    kind = GATEWAY_TYPES.get(str(value.get("type"))) if isinstance(value, Mapping) else None
    if isinstance(value, Mapping) and kind is None:
        yield refused((*path, "type"), f"must be one of {', '.join(sorted(GATEWAY_TYPES))}")
        return
    yield from provider_shape(kind.name if kind else "openai", path[0])(path, value, around)


@cache
def provider_shape(gateway_type: str, section: str) -> TableOf:
    """Make the shape of a type's provider table, under `models` or `embedding_models`."""
    kind = GATEWAY_TYPES[gateway_type]
    common = COMMON_EMBEDDING_KEYS if section == "embedding_models" else COMMON_KEYS
    shapes = {key: _SHAPES.get(key, text) for key in kind.own_keys | common}
    if kind.base_key:
        shapes[kind.base_key] = _base_url(kind)
    if kind.credential:
        shapes[kind.credential.key] = credential(
            kind.places(kind.credential.key), pairs=kind.credential.key != "api_key"
        )
    if "content_type_overrides" in kind.extra_keys:
        shapes["content_type_overrides"] = _content_types
    shapes |= {key: credential(kind.places(key)) for key in _AWS_KEYS & kind.extra_keys}
    required = {"type", *kind.required_keys, *kind.more_model_keys} - {"region"}
    required |= {key for key in (kind.model_key,) if key and not kind.model_key_instead}
    required |= {key for key in (kind.base_key,) if key and kind.base_required}
    rules = (_aws, _one_model_key(kind), _responses_only, _can_embed(kind))
    return TableOf(shapes, frozenset(required), rules)


def _base_url(kind: ProviderType) -> Shape:
    # Only the clouds' addresses may be elsewhere; `none` would be one, and no address.
    elsewhere = tuple(place for place in kind.places(kind.base_key or "") if place.endswith("::"))

    def check(path: Path, value: Toml, _: Surroundings) -> Iterator[Reason]:
        if isinstance(value, str) and value.startswith(elsewhere):
            return
        try:
            _URL.validate_python(value, strict=True)
        except ValidationError as error:
            yield refused(path, reasons_of(error)[0].message)
            return
        for ending, adds in _ENDINGS.items():
            if str(value).rstrip("/").endswith(ending) and adds in {None, kind.name}:
                yield refused(path, f"ends in {ending}, which the gateway adds itself; leave it out")

    return check


_AWS_KEYS = frozenset({"access_key_id", "secret_access_key", "session_token"})


def _aws(path: Path, table: Mapping[str, Any], _: Surroundings) -> Iterator[Reason]:
    if not str(table["type"]).startswith("aws_"):
        return
    if table.get("region", "none") == "none" and table.get("allow_auto_detect_region") is not True:
        yield refused(path, "the key 'region' is missing, and the gateway requires it; add one, or region = \"sdk\"")
    given = _AWS_KEYS & table.keys()
    if "api_key" in table and given:
        yield refused((*path, "api_key"), f"excludes {', '.join(sorted(given))}; keep one kind of credential")
    elif given and not {"access_key_id", "secret_access_key"} <= given:
        yield refused(path, "needs both access_key_id and secret_access_key, or neither")
    kinds = {key: str(table[key]).partition("::")[0] for key in given}
    session = kinds.pop("session_token", "sdk")
    if len(set(kinds.values())) > 1:
        yield refused(path, "access_key_id and secret_access_key must come from the same kind of source")
    elif kinds and session not in {"sdk", *kinds.values()}:
        yield refused((*path, "session_token"), "must come from the same kind of source as access_key_id, or be sdk")


def _one_model_key(kind: ProviderType) -> Shape:
    def check(path: Path, table: Mapping[str, Any], _: Surroundings) -> Iterator[Reason]:
        if kind.model_key_instead and (kind.model_key in table) == (kind.model_key_instead in table):
            yield refused(path, f"needs exactly one of {kind.model_key} and {kind.model_key_instead}")

    return check


def _responses_only(path: Path, table: Mapping[str, Any], _: Surroundings) -> Iterator[Reason]:
    """Check that two of OpenAI's keys are only used with its Responses API."""
    if table["type"] != "openai" or table.get("api_type") == "responses":
        return
    for key in ("include_encrypted_reasoning", "provider_tools"):
        if table.get(key):
            yield refused((*path, key), 'needs api_type = "responses"; add that, or remove this')


def _can_embed(kind: ProviderType) -> Shape:
    def check(path: Path, _table: Mapping[str, Any], _: Surroundings) -> Iterator[Reason]:
        if path[0] == "embedding_models" and not kind.embeddings:
            able = sorted(name for name, other in GATEWAY_TYPES.items() if other.embeddings)
            yield refused((*path, "type"), f"the gateway cannot embed with {kind.name}; use one of {', '.join(able)}")

    return check


def _content_types(path: Path, value: Toml, _: Surroundings) -> Iterator[Reason]:
    allowed = ("image_url", "file", "input_audio")
    if not isinstance(value, Mapping):
        yield refused(path, "must be a table")
    elif bad := sorted(key for key, item in value.items() if item not in allowed):
        yield refused((*path, bad[0]), f"must be one of {', '.join(allowed)}")


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


def _model_name(name: str) -> str | None:
    if has_reserved_prefix(name):
        return f"starts with {name.partition('::')[0]}::, which the gateway keeps for itself; rename the model"
    return None


_COMMON: dict[str, Shape] = {"routing": list_of(text), "providers": TablesOf(provider, unreserved)}
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
