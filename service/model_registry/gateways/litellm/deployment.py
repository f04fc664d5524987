"""Makes LiteLLM's entry of one model row at its provider: one deployment of a model group. Pure.

Columns `litellm` hold what the registry does not model. Of a provider: `prefix`, LiteLLM's name of the provider where
it is not that of the type, and keys of `litellm_params` for all its models. Of a model, a function or a mapping:
`litellm_params`, `model_info` and other keys of the entry; of a model also `prefix`. The model's wins, and a null
removes a key. What LiteLLM calls a provider type is in `entities/provider_types.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from model_registry.entities.deployment import Deployment
from model_registry.entities.litellm_names import LiteLLM
from model_registry.entities.model import Model
from model_registry.entities.provider import Provider
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.gateways.litellm.config import ENVIRONMENT, Table, as_table, variable_of
from model_registry.gateways.litellm.model_info import model_info
from model_registry.gateways.litellm.tensorzero_keys import parameters_of

PREFIX, PARAMS, INFO = "prefix", "litellm_params", "model_info"

PLACEHOLDER = "none"
"""The key for a server that needs none: LiteLLM's OpenAI client asks for one."""

AWS = {
    "region": "aws_region_name",
    "access_key_id": "aws_access_key_id",
    "secret_access_key": "aws_secret_access_key",
    "session_token": "aws_session_token",
}
"""Keys of a provider's table in TensorZero's configuration -> LiteLLM's."""
_VERTEX = {"location": "vertex_location", "project_id": "vertex_project"}
_CLOUD_KEYS = {
    "aws_bedrock": AWS,
    "aws_sagemaker": AWS,
    "gcp_vertex_gemini": _VERTEX,
    "gcp_vertex_anthropic": _VERTEX,
}
"""Provider type -> the same of it."""
_RESPONSES = "responses/"
"""Before the name of a model that is asked through OpenAI's other API."""
_WITHOUT_V1 = frozenset({"ollama", "ollama_chat", "anthropic"})
"""Prefixes for which LiteLLM adds the whole path to a base URL."""
_KEYS = frozenset({"api_key", "vertex_credentials", "litellm_credential_name", "azure_ad_token"})


class HasColumn(Protocol):
    """A row with a column `litellm`."""

    @property
    def litellm(self) -> Table:
        """Parts of an entry."""


@dataclass(frozen=True, slots=True)
class Place:
    """A live deployment that has a model, as the address of an entry."""

    deployment: Deployment
    base: str


def deployment(model: Model, provider: Provider, order: int | None = None, place: Place | None = None) -> Table:
    """Return the entry of `model_list` for this row.

    Args:
        model: the row.
        provider: its provider.
        order: the rank within its group, from 1; None where all deployments of the group are alike.
        place: where a node has it; None: at the provider's own address.
    """
    names = _names(provider, place)
    prefix = _prefix(model, provider, names)
    name = place.deployment.announced_model if place else model.model_id
    mode = _RESPONSES if prefix == "openai" and _tables(model, provider).get("api_type") == "responses" else ""
    params: Table = {"model": f"{prefix}/{mode}{name}" if prefix else name}
    params |= connection(provider, prefix, place) | parameters_of(_tables(model, provider))
    if order is not None:
        params["order"] = order
    info, _ = model_info(model, provider.type)
    return overlaid({"model_name": model.name, PARAMS: params, INFO: {"id": model.id} | info}, model)


def overlaid(entry: Table, row: HasColumn) -> Table:
    """Return an entry with what a row's column says laid over it, key by key; a null removes a key."""
    column = row.litellm
    parts = {part: _with(entry[part], as_table(column.get(part))) for part in (PARAMS, INFO)}
    rest = {key: value for key, value in column.items() if key not in {PREFIX, PARAMS, INFO, "model_name"}}
    return _with(entry | parts, rest)


def prefix_of(provider: Provider) -> str:
    """Return LiteLLM's name of a provider; empty where it has none."""
    return str(provider.litellm.get(PREFIX, _names(provider, None).prefix))


def is_named(model: Model, provider: Provider) -> bool:
    """Whether a column says what LiteLLM calls the provider or the model."""
    return PREFIX in provider.litellm or PREFIX in model.litellm or "model" in as_table(model.litellm.get(PARAMS))


def connection(provider: Provider, prefix: str | None = None, place: Place | None = None) -> Table:
    """Return the keys of `litellm_params` that all models of a provider have: address, key, where and as whom."""
    names = _names(provider, place)
    prefix = prefix_of(provider) if prefix is None else prefix
    params: Table = {}
    if base := place.base if place else provider.api_base:
        bare = provider.type == "ollama" or prefix in _WITHOUT_V1
        params[names.base_key] = base.rstrip("/").removesuffix("/v1") if bare and prefix != "openai" else base
    params |= dict(_credential(provider, names, prefix))
    params |= dict(_cloud(provider))
    return _with(
        params,
        {key: value for key, value in provider.litellm.items() if key != PREFIX and (not place or key != "api_base")},
    )


def variables_of(params: Table, provider: Provider) -> Iterator[str]:
    """Yield the environment variables that an entry names; without a key, the one that LiteLLM reads by itself."""
    yield from (name for value in params.values() if (name := variable_of(value)))
    kind, names = PROVIDER_TYPES[provider.type], _names(provider, None)
    hosted = kind.credential is not None and not (provider.api_base and kind.key_optional)
    if hosted and kind.credential and _KEYS.isdisjoint(params) and (name := names.variable or kind.credential.variable):
        yield name


def _names(provider: Provider, place: Place | None) -> LiteLLM:
    kind = PROVIDER_TYPES.get(provider.type)
    if place is not None and provider.type == "ollama" and place.deployment.provider_type.lower() != "ollama":
        kind = PROVIDER_TYPES["openai_compatible"]  # Ollama's own protocol is no other server's
    return kind.litellm if kind and kind.litellm else LiteLLM("")


def _prefix(model: Model, provider: Provider, names: LiteLLM) -> str:
    special = {"embedding": names.embedding, "reranker": names.reranker, "tts": names.audio, "audio": names.audio}
    usual = provider.litellm.get(PREFIX, special.get(model.model_type) or names.prefix)
    return str(model.litellm.get(PREFIX, usual))


def _credential(provider: Provider, names: LiteLLM, prefix: str) -> Iterator[tuple[str, str]]:
    kind = PROVIDER_TYPES.get(provider.type)
    credential = kind.credential if kind else None
    key = "vertex_credentials" if credential and credential.key == "credential_location" else "api_key"
    if credential and provider.tensorzero.get(credential.key) == "sdk":
        return  # as the machine is logged in, which is what LiteLLM does without a key
    variable = provider.api_key_env_var
    if variable is None and names.variable and credential and not provider.api_base:
        variable = credential.variable  # the gateways of one registry have one environment
    if variable:
        yield key, f"{ENVIRONMENT}{variable}"
    elif prefix == "openai" and provider.api_base:
        yield key, PLACEHOLDER


def _cloud(provider: Provider) -> Iterator[tuple[str, str]]:
    for key, theirs in _CLOUD_KEYS.get(provider.type, {}).items():
        value = provider.tensorzero.get(key)
        if isinstance(value, str) and value.startswith("env::"):
            yield theirs, f"{ENVIRONMENT}{value.removeprefix('env::')}"
        elif isinstance(value, str) and "::" not in value and value != "sdk":
            yield theirs, value


def _tables(model: Model, provider: Provider) -> Table:
    """Return the extra keys of a model's provider in TensorZero's configuration."""
    return {**provider.tensorzero, **as_table(model.tensorzero.get("provider"))}


def _with(table: Table, more: Mapping[str, object]) -> Table:
    """Return a table with other keys laid over it; a null removes a key."""
    return {key: value for key, value in (table | dict(more)).items() if value is not None or key not in more}
