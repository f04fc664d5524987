"""A provider: an account at, or a server of, something that runs models."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AnyHttpUrl, Field, StringConstraints, TypeAdapter, ValidationError

from model_registry.entities.base import Draft, GatewayShortName, JsonObject, Metadata, Row, without
from model_registry.entities.field_errors import reasons_of
from model_registry.entities.provider_types import PROVIDER_TYPES, ProviderType, ProviderTypeName
from model_registry.entities.secret_patterns import is_key_for_a_name
from model_registry.entities.secret_text import find_secrets
from model_registry.entities.server_address import spelled_url

THROUGH = "gateway:"
"""Before the name of the gateway that a provider is reached through."""


def _route_by_problem(value: str) -> str | None:
    if value in {"api_base", "deployments"} or (value.startswith(THROUGH) and value != THROUGH):
        return None
    return f"must be api_base, deployments, or {THROUGH}<name of a gateway of the kind smg>"


RouteBy = Annotated[str, StringConstraints(max_length=208), without(_route_by_problem)]

_ON_NODES = ", ".join(name for name, kind in PROVIDER_TYPES.items() if kind.runs_on_nodes)

_HTTP_URL = TypeAdapter(AnyHttpUrl)
_KEY_PREFIXES = re.compile(r"((sk|gsk|hf|xai|pk|rk|r8|nvapi|ghp|glpat)[_-]|AIza|AKIA|ya29)[A-Za-z0-9_-]{12,}")


def http_url_problem(value: str) -> str | None:
    """Return why the gateway refuses this URL, or accepts and cannot use it (`ws://`, `localhost:8000`, `env::X`)."""
    try:
        _HTTP_URL.validate_python(value)
    except ValidationError as error:
        return f"must be a whole http:// or https:// URL ({reasons_of(error)[0].message.lower()})"
    if not re.fullmatch(r"https?://[^\s\x00-\x1f\x7f]+", value, re.IGNORECASE):
        return "must be a whole http:// or https:// URL without spaces"
    parts = urlsplit(value)
    if parts.port == 0:
        return "must not name port 0, at which no server is"
    if "@" in parts.netloc:
        return "must not hold a user or password: the registry stores no secrets; use api_key_env_var"
    return None


def _variable_problem(value: str) -> str | None:
    """Check the name of a variable; refuse API keys, which people paste here."""
    if _KEY_PREFIXES.match(value) or is_key_for_a_name(value) or find_secrets(value):
        return (
            "looks like a key itself; give the NAME of the environment variable that holds it, such as OPENAI_API_KEY"
        )
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        return "must be the name of an environment variable, such as OPENAI_API_KEY: letters, digits and underscores"
    return None


def is_at_vendor(base: str | None, kind: ProviderType) -> bool:
    """Whether a base URL is the one that the type has without any."""
    return not base or (bool(kind.home) and spelled_url(base) == spelled_url(kind.home))


COSTS_NOTHING = "costs_nothing"
"""Key of a provider's metadata."""


def _metadata_problem(value: dict[str, Any]) -> str | None:
    if isinstance(value.get(COSTS_NOTHING, False), bool):
        return None
    return f"must have true or false as {COSTS_NOTHING}"


ApiBase = Annotated[str, StringConstraints(max_length=2000), without(http_url_problem)]
VariableName = Annotated[str, StringConstraints(min_length=1, max_length=200), without(_variable_problem)]


DESCRIPTION = "description"
"""The key of the metadata that holds what a provider is, for people."""


class Provider(Row):
    """A provider as stored."""

    name: str
    type: str
    api_base: str | None = None
    api_key_env_var: str | None = None
    tensorzero: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    active: bool = True
    route_by: str | None = None
    only_with_key: bool = False
    litellm: dict[str, Any] = {}

    @property
    def described(self) -> str | None:
        """What it is, for people, where its metadata says so."""
        text = self.metadata.get(DESCRIPTION)
        return text if isinstance(text, str) else None

    @property
    def costs_nothing(self) -> bool:
        """Whether prices that its models do not have are 0, and not unknown."""
        return self.metadata.get(COSTS_NOTHING) is True


class ProviderDraft(Draft):
    """Writable fields of a provider."""

    name: GatewayShortName = Field(examples=["ollama_local"])
    type: ProviderTypeName = Field(examples=["ollama"])
    api_base: ApiBase | None = Field(None, description="Base URL of the API.", examples=["http://localhost:11434/v1"])
    api_key_env_var: VariableName | None = Field(
        None,
        description="Name of the environment variable that holds the API key; never the key itself.",
        examples=["OPENAI_API_KEY"],
    )
    tensorzero: JsonObject = Field(default={}, description="Extra keys of the gateway's provider table.")
    litellm: JsonObject = Field(default={}, description="Extra keys of LiteLLM's entries of its models.")
    metadata: Annotated[Metadata, without(_metadata_problem)] = Field(
        default={},
        description=f"`{COSTS_NOTHING}: true`: requests cost nothing here, as on your own machines; prices that its "
        "models do not have are 0, and not unknown.",
        examples=[{"location": "local", COSTS_NOTHING: True}],
    )
    active: bool = True
    route_by: RouteBy | None = Field(
        None,
        description="`deployments`: gateways ask the nodes that have a model loaded, and `api_base` last. `api_base`: "
        "it is always there, whatever nodes say. `gateway:<name>`: through that gateway, of the kind smg. "
        "Null: as `api_base`, but where the type runs on nodes "
        f"({_ON_NODES}) a look-up with `deployed=true` wants a node to have the model loaded.",
    )
    only_with_key: bool = Field(
        default=False,
        description="Gateways have it only where their environment has the variable `api_key_env_var`.",
    )
