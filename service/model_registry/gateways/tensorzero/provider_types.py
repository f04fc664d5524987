"""The table of provider types: keys and credentials of each. Measured with TensorZero 2026.6.0. No rendering rules.

Includes our own three types: `openai_compatible` and `ollama` are the gateway's `openai`; the gateway has no `custom`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Credential:
    """How a provider type locates its API key."""

    variable: str | None
    """The environment variable that the gateway reads by default; None: it uses the cloud's SDK."""
    key: str = "api_key_location"
    """The provider table's key for the location."""
    scheme: str = "env::"
    """Prefix of the environment variable's name. Google's types read a file whose path is in the variable."""
    none_allowed: bool = False
    """Whether the location may be `none`."""


@dataclass(frozen=True, slots=True)
class ProviderType:
    """One provider type: the keys of its table in the gateway's configuration, by purpose."""

    name: str
    gateway_type: str | None
    """The table's `type`; None: the gateway has no such type, and nothing is rendered."""
    model_key: str | None = "model_name"
    """The key for the provider's name of the model; None: the server runs only one model."""
    model_key_instead: str | None = None
    """An alternative to `model_key`; the two exclude each other."""
    more_model_keys: tuple[str, ...] = ()
    """Further required keys with the model's name, unless the row sets them."""
    base_key: str | None = None
    """The key for the base URL; None: it is fixed."""
    base_required: bool = False
    credential: Credential | None = None
    extra_keys: frozenset[str] = frozenset()
    """Further keys of this type. `COMMON_KEYS` apply to every type."""
    required_keys: tuple[str, ...] = ()
    """The required ones of `extra_keys`."""
    shorthand: bool = False
    """Whether `<type>::<model>` names a model without a table."""
    embeddings: bool = False
    """Whether the gateway supports its embeddings."""

    @property
    def own_keys(self) -> frozenset[str]:
        """All keys of this type's provider table, without the common ones."""
        named = {self.model_key, self.model_key_instead, self.base_key, *self.more_model_keys}
        named.add(self.credential.key if self.credential else None)
        return frozenset(key for key in named if key is not None) | self.extra_keys


COMMON_KEYS = frozenset(
    {"type", "timeouts", "cost", "batch_cost", "extra_body", "extra_headers", "discard_unknown_chunks"}
)
"""Keys of every provider table under `[models]`."""

COMMON_EMBEDDING_KEYS = frozenset({"type", "timeout_ms", "cost", "extra_body", "extra_headers"})
"""Keys of every provider table under `[embedding_models]`."""

_AWS_KEYS = frozenset({"region", "allow_auto_detect_region", "access_key_id", "secret_access_key", "session_token"})
_OPENAI = ProviderType(
    "openai",
    "openai",
    base_key="api_base",
    credential=Credential("OPENAI_API_KEY", none_allowed=True),
    extra_keys=frozenset({"api_type", "include_encrypted_reasoning", "provider_tools", "content_type_overrides"}),
    shorthand=True,
    embeddings=True,
)


def _plain(
    name: str, *extra: str, variable: str = "", none_allowed: bool = False, embeddings: bool = False
) -> ProviderType:
    """Make a hosted type: a fixed URL, one API key, and a shorthand."""
    credential = Credential(variable or f"{name.upper()}_API_KEY", none_allowed=none_allowed)
    return ProviderType(
        name, name, credential=credential, extra_keys=frozenset(extra), shorthand=True, embeddings=embeddings
    )


def _server(name: str, model_key: str | None = "model_name") -> ProviderType:
    """Make a self-hosted type: it requires a URL, and may need no API key."""
    credential = Credential(f"{name.upper()}_API_KEY", none_allowed=True)
    return ProviderType(name, name, model_key=model_key, base_key="api_base", base_required=True, credential=credential)


def _vertex(name: str, *extra: str, instead: str | None = None) -> ProviderType:
    """Make a type of Google's cloud: the credential is a service account's file."""
    return ProviderType(
        name,
        name,
        model_key="model_id",
        model_key_instead=instead,
        credential=Credential("GCP_VERTEX_CREDENTIALS_PATH", "credential_location", "path_from_env::"),
        extra_keys=frozenset({"location", "project_id", *extra}),
        required_keys=("location", "project_id"),
        shorthand=True,
    )


_ALL = (
    ProviderType(
        "anthropic",
        "anthropic",
        base_key="api_base",
        credential=Credential("ANTHROPIC_API_KEY"),
        extra_keys=frozenset({"beta_structured_outputs", "provider_tools"}),
        shorthand=True,
    ),
    ProviderType(
        "aws_bedrock",
        "aws_bedrock",
        model_key="model_id",
        base_key="endpoint_url",
        credential=Credential(None, "api_key"),
        extra_keys=_AWS_KEYS,
        required_keys=("region",),
    ),
    ProviderType(
        "aws_sagemaker",
        "aws_sagemaker",
        model_key="endpoint_name",
        more_model_keys=("model_name",),
        base_key="endpoint_url",
        extra_keys=_AWS_KEYS | {"hosted_provider"},
        required_keys=("region", "hosted_provider"),
    ),
    ProviderType(
        "azure",
        "azure",
        model_key="deployment_id",
        base_key="endpoint",
        base_required=True,
        credential=Credential("AZURE_API_KEY"),
        embeddings=True,
    ),
    _plain("deepseek"),
    _plain("fireworks", "parse_think_blocks"),
    _vertex("gcp_vertex_anthropic", "provider_tools"),
    _vertex("gcp_vertex_gemini", instead="endpoint_id"),
    _plain("google_ai_studio_gemini", variable="GOOGLE_AI_STUDIO_API_KEY"),
    _plain("groq", "reasoning_format", none_allowed=True),
    _plain("hyperbolic"),
    _plain("mistral", "prompt_mode"),
    _OPENAI,
    _plain("openrouter", none_allowed=True, embeddings=True),
    _server("sglang"),
    _server("tgi", model_key=None),
    _plain("together", "parse_think_blocks"),
    _server("vllm"),
    _plain("xai", none_allowed=True),
    replace(_OPENAI, name="openai_compatible", base_required=True, shorthand=False),
    replace(_OPENAI, name="ollama", base_required=True, shorthand=False),
    ProviderType("custom", None, model_key=None),
)

PROVIDER_TYPES: Mapping[str, ProviderType] = MappingProxyType({kind.name: kind for kind in _ALL})
"""All types, by the registry's name."""

GATEWAY_TYPES: Mapping[str, ProviderType] = MappingProxyType(
    {kind.name: kind for kind in _ALL if kind.gateway_type == kind.name}
)
"""The gateway's own 19 types."""

RESERVED_PREFIXES = ("tensorzero::", *(f"{name}::" for name in GATEWAY_TYPES))
"""Prefixes that the gateway refuses in names of models."""


def is_shorthand(name: str) -> tuple[str, str] | None:
    """Return provider type and model, if the gateway resolves this name without a table."""
    prefix, separator, model = name.partition("::")
    kind = GATEWAY_TYPES.get(prefix)
    return (prefix, model) if separator and kind is not None and kind.shorthand else None


def has_reserved_prefix(name: str) -> bool:
    """Whether the gateway refuses a model with this name."""
    return name.startswith(RESERVED_PREFIXES)
