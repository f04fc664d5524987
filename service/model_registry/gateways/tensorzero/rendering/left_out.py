"""What LiteLLM's content says and TensorZero cannot: where it stands, the reason, and what to do instead. Pure.

Names are places in LiteLLM's configuration: `router_settings.fallbacks`, or the model or provider and the key.
Nothing of it is in the text of a configuration: gateways would restart for a comment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model_registry.entities.config import ConfigSection
from model_registry.entities.gateway import Gateway
from model_registry.entities.model import Model
from model_registry.gateways.omission import Omission
from model_registry.gateways.tensorzero.own_content import others_files, others_sections
from model_registry.gateways.tensorzero.project import as_table
from model_registry.snapshot.snapshot import Snapshot
from model_registry.snapshot.table import Table

NOTHING_LIKE_IT = "TensorZero has nothing like it"

_TABLES = (
    *("model_providers", "models", "model_aliases", "functions", "service_model_mappings"),
    *("config_sections", "config_files", "gateways"),
)
_LITELLM = "litellm"
_PARTS = ("litellm_params", "model_info")
_UNNEEDED = frozenset({"prefix", "id"})
"""Keys of the column `litellm` that are names in LiteLLM alone."""

_KEEP = "keep what needs it at a LiteLLM gateway"
_FUNCTION = "make a function with these models as its variants, in the order of their priorities"
_LIMIT = "rules of the section rate_limiting, which need a database there"
_VARIANT = "write it into a variant of a function: the column tensorzero of the mapping"
_KEYS = "the section gateway, with auth.enabled = true, and keys of TensorZero's own"
_INSTEAD = {
    **dict.fromkeys(("rpm", "tpm", "max_parallel_requests", "max_budget", "budget_duration"), _LIMIT),
    **dict.fromkeys(
        ("fallbacks", "default_fallbacks", "context_window_fallbacks", "content_policy_fallbacks"), _FUNCTION
    ),
    **dict.fromkeys(("temperature", "max_tokens", "top_p", "seed", "stop", "reasoning_effort"), _VARIANT),
    **dict.fromkeys(("num_retries", "max_retries", "retry_after"), f"retries: {_VARIANT}"),
    **dict.fromkeys(("timeout", "stream_timeout", "request_timeout"), "timeouts: the column tensorzero of the model"),
    **dict.fromkeys(("master_key", "custom_auth", "key_management_system", "enable_jwt_auth"), _KEYS),
    **dict.fromkeys(("database_url", "store_model_in_db"), "nothing: what LiteLLM keeps there stays there"),
    **dict.fromkeys(("cache", "cache_params"), "the section gateway, with cache.enabled = true"),
    **dict.fromkeys(
        ("callbacks", "success_callback", "failure_callback", "service_callback"),
        "the section gateway: observability.enabled = true, or export.otlp.traces.enabled = true",
    ),
    "weight": "make a function with these models as variants, and give them weights",
    "routing_strategy": "make a function with these models as variants, and give them weights",
    "extra_headers": "extra_headers: the column tensorzero of the model",
    "extra_body": "extra_body: the column tensorzero of the model",
    "guardrails": "ask the guardrail from the calling program",
    "mcp_servers": "ask them from the calling program, and send their tools with each request",
    "credential_list": "set the column api_key_env_var of each provider",
    "environment_variables": "set them where the gateway runs",
    "model_list": "add the models one by one: POST /api/models",
    "drop_params": "send only what the provider takes",
}
"""Section, or key -> what to do instead."""


@dataclass(slots=True)
class OthersContent:
    """What is left out of one gateway's projects. Kept while the tables stay the same."""

    _tables: tuple[Table[Any], ...] = ()
    _gateway: Gateway | None = None
    _known: tuple[Omission, ...] = ()

    def omissions(self, snapshot: Snapshot, gateway: Gateway) -> tuple[Omission, ...]:
        """Return the omissions, given what the gateway carries."""
        tables = tuple(snapshot.tables[name] for name in _TABLES)
        same = len(tables) == len(self._tables) and all(a is b for a, b in zip(tables, self._tables, strict=True))
        if not same or gateway != self._gateway:
            self._known = tuple(_omissions(snapshot, gateway))
            self._tables, self._gateway = tables, gateway
        return self._known


def _omissions(snapshot: Snapshot, gateway: Gateway) -> Iterator[Omission]:
    yield from _in_columns(snapshot)
    for section in others_sections(snapshot):
        yield from _section(section)
    for file in others_files(snapshot):
        yield _omission("file", file.path, "it belongs to another kind of gateway", _KEEP)
    for alias in snapshot.aliases:
        if alias.context == _LITELLM:
            yield _omission("alias", alias.alias, "its context is litellm", "add the alias without a context")
    owners = snapshot.gateways.where("name", gateway.content_of)
    if owners and owners[0].kind == _LITELLM:
        yield from _balanced(snapshot)


def _in_columns(snapshot: Snapshot) -> Iterator[Omission]:
    for provider in snapshot.providers:
        if provider.active and provider.litellm:
            yield from _column(provider.name, provider.litellm)
    for model in snapshot.models:
        if model.litellm and _is_used(snapshot, model):
            yield from _column(model.name, model.litellm)
    for function in snapshot.functions:
        yield from _column(function.name, function.litellm)
    for mapping in snapshot.mappings:
        if mapping.litellm:
            yield from _column(
                f"{mapping.service_name}/{mapping.function_name}.{mapping.variant_name}", mapping.litellm
            )


def _section(section: ConfigSection) -> Iterator[Omission]:
    value: Any = section.value.get("litellm_value", section.value)
    if isinstance(value, Mapping):
        places = [(f"{section.name}.{key}", key) for key in value]
    elif isinstance(value, list):
        places = [(f"{section.name}.{_name_in(item, number)}", section.name) for number, item in enumerate(value)]
    else:
        places = []
    for place, key in places or [(section.name, section.name)]:
        instead = _INSTEAD.get(key) or _INSTEAD.get(section.name, _KEEP)
        yield _omission("section", place, NOTHING_LIKE_IT, instead)


def _name_in(item: object, number: int) -> str:
    table = as_table(item)
    return next(
        (str(table[key]) for key in ("model_name", "credential_name", "guardrail_name", "name") if key in table),
        str(number),
    )


def _column(name: str, column: Mapping[str, Any]) -> Iterator[Omission]:
    """Yield the keys of a column `litellm`."""
    tables = [{key: value for key, value in column.items() if key not in _PARTS}]
    tables += [as_table(column.get(part)) for part in _PARTS]
    # A null says that LiteLLM's entry lacks what a row would give it.
    keys = [key for table in tables for key, value in table.items() if value is not None]
    for key in dict.fromkeys(keys):
        if key not in _UNNEEDED:
            yield _omission("setting", f"{name}.{key}", NOTHING_LIKE_IT, _INSTEAD.get(key, _KEEP))


def _balanced(snapshot: Snapshot) -> Iterator[Omission]:
    """Yield the groups among whose members LiteLLM shares the requests, while TensorZero has an order."""
    levels: dict[tuple[str, int], int] = {}
    for model in snapshot.models:
        if _is_used(snapshot, model):
            place = model.name, model.routing_priority
            levels[place] = levels.get(place, 0) + 1
    for (name, _), count in sorted(levels.items()):
        if count > 1:
            reason = (
                f"LiteLLM shares its requests among {count} deployments; TensorZero asks the first, then the others"
            )
            yield _omission("setting", f"{name}.weight", reason, _INSTEAD["weight"])


def _is_used(snapshot: Snapshot, model: Model) -> bool:
    provider = snapshot.providers.get(model.provider_id)
    return model.active and provider is not None and provider.active


def _omission(kind: str, name: str, reason: str, instead: str) -> Omission:
    return Omission(kind, name, reason, switched_off=True, instead=instead)
