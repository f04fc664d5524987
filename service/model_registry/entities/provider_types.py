"""The provider types, in one table: every other list of provider types is derived from it, SQL's by a test.

An entry has the gateway's keys (measured with TensorZero 2026.6.0), LiteLLM's name of the type, and the registry's
defaults. No rules of rendering. Three types are the registry's own: `openai_compatible` and `ollama` are
rendered as the gateway's `openai`, and `custom` is not rendered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from model_registry.entities import litellm_names
from model_registry.entities.credential_schemes import CREDENTIAL_SCHEMES
from model_registry.entities.litellm_names import LiteLLM


@dataclass(frozen=True, slots=True)
class Credential:
    """How a provider type locates its API key."""

    variable: str | None
    """The environment variable that the gateway reads by default; None: it uses the cloud's SDK."""
    key: str = "api_key_location"
    """The provider table's key for the location."""
    scheme: str = "env::"
    """Prefix of the environment variable's name. Google's types read a file whose path is in the variable."""


@dataclass(frozen=True, slots=True)
class ProviderType:
    """One provider type: its name in the registry, and its properties for the registry, the gateway and LiteLLM."""

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
    section_keys: frozenset[str] = frozenset()
    """The keys of its table in the `provider_types` section, beside `defaults`."""
    shorthand: bool = False
    """Whether `<type>::<model>` names a model without a table."""
    embeddings: bool = False
    """Whether the gateway supports its embeddings."""
    speaks_openai: bool = False
    """Whether its servers take requests, and report tokens in `usage`, as OpenAI's do."""
    runs_on_nodes: bool = False
    """Whether the models run on GPU nodes by default; the provider's `route_by` overrides it."""
    many_servers: bool = False
    """Whether the type names a protocol rather than a vendor: a registry has several providers of it."""
    litellm: LiteLLM | None = None
    """None: LiteLLM has no such type."""
    account: str = ""
    """The name of a new provider of this type that an import makes; empty: the type's."""
    home: str = ""
    """The base URL of its vendor's API, where a provider without a base URL is; empty: there is not just one."""

    @property
    def routable(self) -> bool:
        """Whether a provider can be routed by deployments: its servers differ in their `api_base`."""
        return self.base_key == "api_base"

    @property
    def key_optional(self) -> bool:
        """Whether the location of the API key may be `none`."""
        return self.credential is not None and "none" in self.places(self.credential.key)

    def places(self, key: str) -> tuple[str, ...]:
        """Return the schemes and words by which this key of the table may say where something is."""
        return CREDENTIAL_SCHEMES.get(self.gateway_type or "", {}).get(key, ())

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

# Each maker names all that its types have in common, so that a type is read in one place.
_SFT = frozenset({"sft"})
_AWS_KEYS = frozenset({"region", "allow_auto_detect_region", "access_key_id", "secret_access_key", "session_token"})
_OPENAI = ProviderType(
    "openai",
    "openai",
    base_key="api_base",
    credential=Credential("OPENAI_API_KEY"),
    extra_keys=frozenset({"api_type", "include_encrypted_reasoning", "provider_tools", "content_type_overrides"}),
    shorthand=True,
    embeddings=True,
    speaks_openai=True,
    litellm=litellm_names.OPENAI,
    home="https://api.openai.com/v1",
)
_OPENAI_SERVER = replace(_OPENAI, base_required=True, shorthand=False, many_servers=True, home="")


def _plain(  # noqa: PLR0913 (what hosted types differ in)
    name: str,
    *extra: str,
    variable: str = "",
    embeddings: bool = False,
    speaks_openai: bool = True,
    section_keys: frozenset[str] = frozenset(),
    litellm: LiteLLM | None = None,
    account: str = "",
    home: str = "",
) -> ProviderType:
    """Make a hosted type: a fixed URL, one API key, a shorthand, and by default the same name in LiteLLM."""
    return ProviderType(
        name,
        name,
        credential=Credential(variable or f"{name.upper()}_API_KEY"),
        extra_keys=frozenset(extra),
        section_keys=section_keys,
        shorthand=True,
        embeddings=embeddings,
        speaks_openai=speaks_openai,
        litellm=litellm or LiteLLM(name, (name,)),
        account=account,
        home=home,
    )


def _server(name: str, litellm: LiteLLM, model_key: str | None = "model_name") -> ProviderType:
    """Describe a server that people run themselves: its address is required, its key is not."""
    return ProviderType(
        name,
        name,
        model_key=model_key,
        base_key="api_base",
        base_required=True,
        credential=Credential(f"{name.upper()}_API_KEY"),
        speaks_openai=True,
        runs_on_nodes=True,
        many_servers=True,
        litellm=litellm,
    )


def _vertex(name: str, *extra: str, families: tuple[str, ...]) -> ProviderType:
    """Describe one of Google's clouds: the key is a service account's file."""
    return ProviderType(
        name,
        name,
        model_key="model_id",
        litellm=litellm_names.vertex(families),
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
        litellm=LiteLLM("anthropic", ("anthropic",)),
        home="https://api.anthropic.com/v1",
    ),
    ProviderType(
        "aws_bedrock",
        "aws_bedrock",
        model_key="model_id",
        base_key="endpoint_url",
        credential=Credential(None, "api_key"),
        extra_keys=_AWS_KEYS,
        required_keys=("region",),
        litellm=litellm_names.BEDROCK,
    ),
    ProviderType(
        "aws_sagemaker",
        "aws_sagemaker",
        model_key="endpoint_name",
        more_model_keys=("model_name",),
        base_key="endpoint_url",
        extra_keys=_AWS_KEYS | {"hosted_provider"},
        required_keys=("region", "hosted_provider"),
        many_servers=True,
        litellm=LiteLLM("sagemaker", ("sagemaker",), base_key="sagemaker_base_url"),
    ),
    ProviderType(
        "azure",
        "azure",
        model_key="deployment_id",
        base_key="endpoint",
        base_required=True,
        credential=Credential("AZURE_API_KEY"),
        embeddings=True,
        speaks_openai=True,
        many_servers=True,
        litellm=LiteLLM("azure", ("azure", "azure_text")),
    ),
    _plain("deepseek", home="https://api.deepseek.com/v1"),
    _plain(
        "fireworks",
        "parse_think_blocks",
        section_keys=_SFT,
        litellm=litellm_names.FIREWORKS,
        home="https://api.fireworks.ai/inference/v1",
    ),
    _vertex("gcp_vertex_anthropic", "provider_tools", families=("anthropic_models",)),
    replace(
        _vertex("gcp_vertex_gemini", families=("embedding-models", "language-models", "text-models")),
        model_key_instead="endpoint_id",
        section_keys=_SFT | {"batch"},
    ),
    _plain(
        "google_ai_studio_gemini",
        variable="GOOGLE_AI_STUDIO_API_KEY",
        speaks_openai=False,
        litellm=litellm_names.GEMINI,
        account="google_ai_studio",
        home="https://generativelanguage.googleapis.com/v1beta",
    ),
    _plain("groq", "reasoning_format", home="https://api.groq.com/openai/v1"),
    _plain("hyperbolic", home="https://api.hyperbolic.xyz/v1"),
    _plain("mistral", "prompt_mode", home="https://api.mistral.ai/v1"),
    _OPENAI,
    _plain("openrouter", embeddings=True, home="https://openrouter.ai/api/v1"),
    _server("sglang", litellm=litellm_names.OPENAI_SERVER),
    _server("tgi", litellm=litellm_names.OPENAI_SERVER, model_key=None),
    _plain(
        "together",
        "parse_think_blocks",
        section_keys=_SFT,
        litellm=litellm_names.TOGETHER,
        home="https://api.together.xyz/v1",
    ),
    _server("vllm", litellm=litellm_names.VLLM),
    _plain("xai", home="https://api.x.ai/v1"),
    replace(_OPENAI_SERVER, name="openai_compatible", litellm=litellm_names.OPENAI_SERVER),
    replace(_OPENAI_SERVER, name="ollama", runs_on_nodes=True, litellm=litellm_names.OLLAMA),
    ProviderType("custom", None, model_key=None, many_servers=True),
)

PROVIDER_TYPES: Mapping[str, ProviderType] = MappingProxyType({kind.name: kind for kind in _ALL})
"""By the registry's name of the type: the gateway's first, then the registry's own."""

if TYPE_CHECKING:
    ProviderTypeName = str
else:
    ProviderTypeName = Literal[tuple(PROVIDER_TYPES)]
"""The names, for pydantic: a value that is none of them is refused by name, and the OpenAPI document lists them."""

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


def is_test_model(name: object) -> bool:
    """Whether a model is one of TensorZero's own test provider: its releases load them, and fail at every call."""
    return isinstance(name, str) and name.startswith("dummy::")


def has_reserved_prefix(name: str) -> bool:
    """Whether the gateway refuses a model with this name."""
    return name.startswith(RESERVED_PREFIXES)
