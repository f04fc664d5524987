"""Reads an entry of `model_list` as an offer: one model, on one connection. `providers.py` finds its row. Pure.

A connection tells providers apart: address, credential, and what else says where and as whom (region, project, version
of the interface, ...). Whatever else the entry says belongs to the model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from model_registry.entities.provider import Provider, http_url_problem
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.gateways.litellm.config import ENVIRONMENT, Entry, Table, variable_of
from model_registry.gateways.litellm.deployment import AWS, PLACEHOLDER, PREFIX, connection
from model_registry.gateways.litellm.importing.names import CUSTOM, ModelName, model_name, type_of_prefix
from model_registry.gateways.litellm.keys import is_no_key, key_variable

_CONNECTION = re.compile(
    r"api_key|api_base|base_url|api_version|organization|tenant_id|client_id|client_secret|region_name|project"
    r"|azure_.*|vertex_(ai_)?(project|location|credentials)|aws_.*|watsonx_.*|litellm_credential_name|oci_.*|sap_.*"
)
"""Keys of `litellm_params` that belong to the connection."""


@dataclass(frozen=True, slots=True)
class ImportedOffer:
    """A model of one entry."""

    entry: Entry
    name: ModelName
    model_type: str
    connection: Table
    """The keys of `litellm_params` that say where and as whom, with one word for no key."""
    provider: Table
    """The columns of a new provider row, without its name."""

    @property
    def prefix(self) -> str:
        """The prefix that the provider's models have, unless one says otherwise."""
        return self.name.provider


def read_offer(entry: Entry, model_type: str) -> ImportedOffer:
    """Read an entry."""
    name = model_name(entry)
    found = {key: value for key, value in entry.params.items() if _CONNECTION.fullmatch(key) and value is not None}
    if is_no_key(found.get("api_key")):
        found["api_key"] = PLACEHOLDER
    elif variable := key_variable(found.get("api_key")):
        found["api_key"] = f"{ENVIRONMENT}{variable}"
    return ImportedOffer(entry, name, model_type, found, _provider(name, found, model_type))


def _provider(name: ModelName, found: Table, model_type: str) -> Table:
    """Make the columns of a new row: its type, address and key, and in `litellm` what these do not say."""
    kind_name = _type(name, found, model_type)
    kind = PROVIDER_TYPES[kind_name]
    row: Table = {"type": kind_name, "api_base": None, "api_key_env_var": None, "tensorzero": {}, "litellm": {}}
    base_key = kind.litellm.base_key if kind.litellm else "api_base"
    if is_url(base := found.get(base_key)) and (kind.base_key or kind_name == CUSTOM):
        row["api_base"] = base
    if kind_name == "aws_bedrock":
        row["tensorzero"] = {"region": "sdk"} | {
            ours: _tensorzero(found[theirs]) for ours, theirs in AWS.items() if isinstance(found.get(theirs), str)
        }
    elif kind_name.startswith("gcp_vertex"):
        row["tensorzero"] = {"project_id": found["vertex_project"], "location": found["vertex_location"]}
    elif kind_name == "azure" and (variable := variable_of(found.get("api_base"))):
        row["tensorzero"] = {"endpoint": f"env::{variable}"}
    key = "vertex_credentials" if kind_name.startswith("gcp_vertex") else "api_key"
    if kind_name != "aws_bedrock":
        row["api_key_env_var"] = variable_of(found.get(key))
    if kind_name == CUSTOM and name.provider:
        row["litellm"] = {PREFIX: name.provider}
    row["litellm"] |= beyond_columns(found, Provider(id="", name="new", **row), name.prefix or name.provider)
    return row


def beyond_columns(found: Table, provider: Provider, prefix: str) -> Table:
    """Return what a provider's column has to say so that its models have exactly this connection."""
    there = connection(provider, prefix)
    if is_no_key(there.get("api_key")):
        there["api_key"] = PLACEHOLDER
    more = {key: value for key, value in found.items() if key not in there or there[key] != value}
    return more | {key: None for key in there if key not in found}


def _type(name: ModelName, found: Table, model_type: str) -> str:  # noqa: PLR0911 (a line a reason)
    """Find the type whose tables other kinds of gateways have too; `custom` where they could not say the connection."""
    kind_name = type_of_prefix(name.provider) or CUSTOM
    base = found.get("api_base")
    if "litellm_credential_name" in found:
        return CUSTOM
    if kind_name == "openai":
        if base is None and "base_url" not in found:
            return "openai"
        return ("openai" if _is_openai(base) else "openai_compatible") if is_url(base) else CUSTOM
    if kind_name == "gcp_vertex_gemini":
        kind_name = _vertex_type(name, found)
    kind = PROVIDER_TYPES[kind_name]
    if kind.base_required and not is_url(base) and not (kind_name == "azure" and variable_of(base)):
        return CUSTOM
    if base is not None and (kind.base_key is None or (kind_name == "aws_bedrock")):
        return CUSTOM
    if model_type == "embedding" and not kind.embeddings and kind.gateway_type != "openai":
        return CUSTOM
    return kind_name


def _vertex_type(name: ModelName, found: Table) -> str:
    given = all(
        isinstance(found.get(k), str) and not variable_of(found[k]) for k in ("vertex_project", "vertex_location")
    )
    if not given or (found.get("vertex_credentials") is not None and not variable_of(found["vertex_credentials"])):
        return CUSTOM
    if name.model_id.startswith("gemini"):
        return "gcp_vertex_gemini"
    return "gcp_vertex_anthropic" if name.model_id.startswith("claude") else CUSTOM


def is_url(value: object) -> bool:
    """Whether a value is an address that a provider's row can have."""
    return isinstance(value, str) and http_url_problem(value) is None


def _is_openai(base: object) -> bool:
    host = urlsplit(str(base)).hostname or ""
    return host == "openai.com" or host.endswith(".openai.com")


def _tensorzero(value: str) -> str:
    variable = variable_of(value)
    return f"env::{variable}" if variable else value
