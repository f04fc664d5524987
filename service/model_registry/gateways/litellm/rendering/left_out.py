"""What TensorZero's content says and LiteLLM cannot: where it stands, the reason, and what to do instead. Pure.

Names are places in TensorZero's configuration, from the table of the kind on: `tools.look_up`, `answer.fast.json_mode`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from model_registry.entities.config import ConfigSection
from model_registry.gateways.litellm.config import as_table
from model_registry.gateways.omission import Omission

NOTHING_LIKE_IT = "LiteLLM has nothing like it"

TEXTS = (
    *("system_template", "user_template", "assistant_template", "templates", "input_wrappers"),
    *("system_schema", "user_schema", "assistant_schema", "schemas", "output_schema", "system_instructions"),
)
"""Keys that change what a model is sent."""
TOOLS = ("tools", "tool_choice", "parallel_tool_calls")

_KEEP = "keep what needs it at a TensorZero gateway"
_IN_REQUESTS = "send the {} with each request"
_TEMPLATE = "write the text in the calling program, or keep the function at a TensorZero gateway"
_SEVERAL = "ask several models from the calling program, and choose or join there"
_SCHEMA = "check the arguments in the calling program"
_INSTEAD = {
    **dict.fromkeys(("system_template", "user_template", "assistant_template", "templates"), _TEMPLATE),
    **dict.fromkeys(("input_wrappers", "system_instructions"), _TEMPLATE),
    **dict.fromkeys(("system_schema", "user_schema", "assistant_schema", "schemas"), _SCHEMA),
    "output_schema": "send the schema with each request, in response_format",
    "json_mode": "send response_format with each request",
    **{key: _IN_REQUESTS.format(key) for key in TOOLS},
    "experimental_best_of_n_sampling": _SEVERAL,
    "experimental_mixture_of_n": _SEVERAL,
    "experimental_dynamic_in_context_learning": "look the examples up in the calling program",
    "evaluators": "evaluate with a program of your own, which asks LiteLLM",
    "weight": "delete its mapping, or switch its model off",
    "experimentation": "give the variants weights, and compare them with a program of your own",
    "provider_tools": _IN_REQUESTS.format("tools"),
    "thinking_budget_tokens": "send thinking with each request",
    "extra_body": "write what is meant into litellm_params.extra_body of the column litellm",
    "extra_headers": "write what is meant into litellm_params.extra_headers of the column litellm",
    "timeouts.streaming.total_ms": "the calling program ends a stream that takes too long",
    "retries.max_delay_s": "router_settings.retry_after",
    "cost": "write the prices into the model's card: LiteLLM gets those",
    "batch_cost": "write the prices into the model's card: LiteLLM gets those",
    "api_key_location": "set the column api_key_env_var of the provider",
    "credential_location": "set the column api_key_env_var of the provider",
    "api_key": "set the column api_key_env_var of the provider",
}
"""Key of a table, or type of a variant -> what to do instead."""

_TYPES = frozenset(key for key in _INSTEAD if key.startswith("experimental_"))
_OWN_KEYS = "LiteLLM's own keys: general_settings.master_key, then POST /key/generate"
_FEEDBACK = "send it to what keeps the requests: litellm_settings.success_callback"
_STORED = "litellm_settings.success_callback sends requests and answers to what keeps them"
_SECTIONS: dict[str, tuple[str, str]] = {
    "tools": ("LiteLLM offers models no tools of its own", _IN_REQUESTS.format("tools")),
    "metrics": ("LiteLLM takes no feedback", _FEEDBACK),
    "evaluations": ("LiteLLM evaluates nothing", _INSTEAD["evaluators"]),
    "optimizers": ("LiteLLM optimizes nothing", "keep a TensorZero project for it"),
    "provider_types": (NOTHING_LIKE_IT, "write it into the column litellm of the providers"),
    "rate_limiting": ("LiteLLM limits by key, team and deployment", "rpm, tpm and budgets of LiteLLM's keys and teams"),
    "object_storage": ("LiteLLM stores no files of requests", _STORED),
    "clickhouse": ("LiteLLM writes to no ClickHouse by itself", _STORED),
    "postgres": ("LiteLLM's database is another one", "general_settings.database_url"),
    "gateway.observability": ("LiteLLM keeps no inferences", _STORED),
    "gateway.auth": ("LiteLLM's keys are its own", _OWN_KEYS),
    "gateway.cache": ("LiteLLM caches by other rules", "litellm_settings.cache and cache_params"),
    "gateway.bind_address": ("LiteLLM listens where it is started to", "litellm --host and --port"),
    "gateway.export": ("LiteLLM exports traces by a callback", 'litellm_settings.callbacks: ["otel"]'),
    "gateway.relay": ("LiteLLM has no gateway behind it", "a provider with the other gateway's address as api_base"),
    "gateway.base_path": ("LiteLLM's paths are its own", "the variable SERVER_ROOT_PATH where LiteLLM runs"),
    "gateway.debug": ("LiteLLM logs what it is started to", "the variable LITELLM_LOG where LiteLLM runs"),
    "gateway.global_outbound_http_timeout_ms": (NOTHING_LIKE_IT, "litellm_settings.request_timeout, in seconds"),
}
"""Section, or section and key -> the reason, and what to do instead."""


def setting(place: str, key: str, reason: str = NOTHING_LIKE_IT) -> Omission:
    """Make the omission of a key at a place."""
    return Omission("setting", f"{place}.{key}", reason, instead=_INSTEAD.get(key, _KEEP))


def what_instead(keys: Iterable[str]) -> str:
    """Return what to do instead of these keys, each way once."""
    return "; ".join(dict.fromkeys(_INSTEAD.get(key, _KEEP) for key in keys))


def instead_of_variant(table: object) -> str:
    """Return what to do instead of a variant, given its table."""
    known = as_table(table)
    return what_instead(
        [key for key in (known.get("type"), *TEXTS) if key in _TYPES or (key in TEXTS and known.get(key))]
    )


def section_left_out(section: ConfigSection) -> Iterator[Omission]:
    """Yield the omissions of a section: one for each of its entries or keys."""
    name = section.name
    for key, value in section.value.items() or ((None, None),):
        place = name if key is None else f"{name}.{key}"
        reason, instead = _SECTIONS.get(place) or _SECTIONS.get(name) or (NOTHING_LIKE_IT, _KEEP)
        if name == "provider_types" and as_table(value).keys() == {"defaults"}:
            continue  # a default for keys stands in the rows of its providers
        yield Omission("section", place, reason, instead=instead)


def file_left_out(path: str) -> Omission:
    """Make the omission of a file of templates or schemas."""
    return Omission("file", path, "it belongs to another kind of gateway", instead=_TEMPLATE)
