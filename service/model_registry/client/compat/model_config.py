"""A model as programs of the old in-memory registry write and read it.

Those programs sort and compare its numbers, so none is ever None: an unknown one is an `Assumed` number, which is
never stored as a fact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from model_registry.entities.model import OFFERED_STATUSES, canonical
from model_registry.entities.model_card import HIGHEST_PRICE
from model_registry.entities.provider_types import PROVIDER_TYPES

_FLAGS = ("vision", "tool_use", "streaming", "json_mode", "structured_outputs", "code_execution")
TEXT = "text"
"""A capability of every language model. In rows it follows from the type."""
_TOOL_USE, _FUNCTION_CALLING = "tool_use", "function_calling"
"""One capability under two names: programs look for either."""


Flag = bool | None
"""None: as the class says."""


class Assumed:
    """Marks a number that stands in for an unknown one."""


class AssumedInt(Assumed, int):
    """An integer that stands in for an unknown one."""


class AssumedFloat(Assumed, float):
    """A number that stands in for an unknown one."""


FREE, UNKNOWN_PRICE = AssumedFloat(0.0), AssumedFloat(HIGHEST_PRICE)
"""Unknown prices: nothing at a server of one's own; elsewhere so much that the model comes last and fits no budget."""

_ASSUMED: dict[str, Any] = {
    "context_window": AssumedInt(0),  # fits no request
    "max_output_tokens": AssumedInt(0),
    "cost_per_1m_input_tokens": UNKNOWN_PRICE,
    "cost_per_1m_output_tokens": UNKNOWN_PRICE,
    "cost_per_1m_cached_input_tokens": FREE,
    "rate_limit_rpm": AssumedInt(60),  # from here on, the old registry's own defaults
    "rate_limit_tpm": AssumedInt(100_000),
    "latency_p50_ms": AssumedInt(1000),
    "latency_p99_ms": AssumedInt(5000),
}
_SCORE = AssumedFloat(0.0)


def assumed_price(provider_type: str | None) -> AssumedFloat:
    """Return what an unknown price counts as at a provider of this type."""
    kind = PROVIDER_TYPES.get(provider_type or "")
    return FREE if kind is not None and kind.runs_on_nodes else UNKNOWN_PRICE


def fact(value: Any) -> Any:  # noqa: ANN401 (any number)
    """Return a number as a registry stores it: None for an assumed one."""
    return None if isinstance(value, Assumed) else value


class ModelStatus(StrEnum):
    """Whether a model should be used."""

    ACTIVE = "active"
    EXPERIMENTAL = "experimental"
    DEPRECATED = "deprecated"
    DISABLED = "disabled"
    MAINTENANCE = "maintenance"


class ModelCapability(StrEnum):
    """The capabilities that the old registry named."""

    TEXT = "text"
    VISION = "vision"
    TOOL_USE = "tool_use"
    STREAMING = "streaming"
    JSON_MODE = "json_mode"
    LONG_CONTEXT = "long_context"
    FUNCTION_CALLING = "function_calling"
    CODE_EXECUTION = "code_execution"


@dataclass(init=False)
class ModelCapabilities:
    """What a model can do."""

    supports_vision: bool
    supports_tool_use: bool
    supports_streaming: bool
    supports_json_mode: bool
    supports_code_execution: bool
    supports_structured_outputs: bool
    supports_text: bool
    others: list[str]
    """Capabilities without a flag of their own, such as `code`."""

    def __init__(  # noqa: PLR0913, PLR0917 (the old registry's, in its order)
        self,
        supports_vision: Flag = None,
        supports_tool_use: Flag = None,
        supports_streaming: Flag = None,
        supports_json_mode: Flag = None,
        supports_function_calling: Flag = None,
        supports_code_execution: Flag = None,
        capabilities_list: Iterable[str] = (),
        supports_structured_outputs: Flag = None,
        supports_text: Flag = None,
        others: Iterable[str] = (),
    ) -> None:
        """Take flags and names; a flag is set where either says so.

        A model streams unless its flag, or a list of names without it, says otherwise.
        """
        listed = list(map(canonical, capabilities_list))
        names = list(dict.fromkeys([*listed, *map(canonical, others)]))
        streams = not listed if supports_streaming is None else supports_streaming
        self.supports_vision = bool(supports_vision) or "vision" in names
        self.supports_tool_use = bool(supports_tool_use or supports_function_calling) or _TOOL_USE in names
        self.supports_streaming = bool(streams) or "streaming" in names
        self.supports_json_mode = bool(supports_json_mode) or "json_mode" in names
        self.supports_code_execution = bool(supports_code_execution) or "code_execution" in names
        self.supports_structured_outputs = bool(supports_structured_outputs) or "structured_outputs" in names
        self.supports_text = supports_text is None or bool(supports_text) or TEXT in names
        self.others = [name for name in names if name not in {TEXT, *_FLAGS}]

    @property
    def supports_function_calling(self) -> bool:
        """The same as `supports_tool_use`."""
        return self.supports_tool_use

    @supports_function_calling.setter
    def supports_function_calling(self, value: bool) -> None:
        self.supports_tool_use = value

    @property
    def capabilities_list(self) -> list[str]:
        """The capabilities by name, a new list: `tool_use` also stands there as `function_calling`."""
        flags = [name for name in (TEXT, *_FLAGS) if getattr(self, f"supports_{name}")]
        if self.supports_tool_use:
            flags.insert(flags.index(_TOOL_USE) + 1, _FUNCTION_CALLING)
        return [*flags, *(name for name in map(canonical, self.others) if name not in flags)]

    def has_capability(self, capability: str) -> bool:
        """Whether it can do this, in any case."""
        return canonical(capability) in self.capabilities_list

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON."""
        own = {name: value for name, value in asdict(self).items() if name != "others"}
        aliases = {"supports_function_calling": self.supports_tool_use, "capabilities_list": self.capabilities_list}
        return own | aliases

    @classmethod
    def of(cls, names: Iterable[str], *, text: bool) -> ModelCapabilities:
        """Make exactly the capabilities with these names."""
        return cls(supports_streaming=False, supports_text=text, others=(name for name in names if name != TEXT))


@dataclass
class QualityScores:
    """Scores of a model, 0 to 1; an unknown one counts as 0."""

    reasoning: float = _SCORE
    coding: float = _SCORE
    creative: float = _SCORE
    summarization: float = _SCORE

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 (any value)
        """Keep numbers: None is unknown."""
        object.__setattr__(self, name, _SCORE if value is None else value)

    def to_dict(self) -> dict[str, float]:
        """Return the scores as JSON."""
        return asdict(self)


@dataclass
class ProvisionedThroughput:
    """Capacity that is paid for by the hour, whether it is used or not."""

    enabled: bool = False
    provisioned_units: int | None = None
    unit_cost_per_hour: float | None = None
    reserved_capacity_tpm: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON."""
        return asdict(self)


_FROM_JSON: dict[str, Callable[[Any], Any]] = {
    "capabilities": lambda value: ModelCapabilities(**value),
    "quality_scores": lambda value: QualityScores(**value),
    "provisioned_throughput": lambda value: ProvisionedThroughput(**value),
    "pricing_last_updated": datetime.fromisoformat,
}
"""Fields that `to_dict` writes as JSON: a model is made of that again."""


@dataclass
class ModelConfig:
    """A model. Checked when it is registered, not when it is made. None for a number is unknown: see `Assumed`."""

    model_id: str
    provider: str
    display_name: str = ""
    capabilities: ModelCapabilities = field(default_factory=ModelCapabilities)
    context_window: int = _ASSUMED["context_window"]
    max_output_tokens: int = _ASSUMED["max_output_tokens"]
    cost_per_1m_input_tokens: float = None  # type: ignore[assignment] # by provider, as for every None
    cost_per_1m_output_tokens: float = None  # type: ignore[assignment]
    cost_per_1m_cached_input_tokens: float = FREE
    rate_limit_rpm: int = _ASSUMED["rate_limit_rpm"]
    rate_limit_tpm: int = _ASSUMED["rate_limit_tpm"]
    latency_p50_ms: int = _ASSUMED["latency_p50_ms"]
    latency_p99_ms: int = _ASSUMED["latency_p99_ms"]
    status: ModelStatus = ModelStatus.ACTIVE
    regions: list[str] = field(default_factory=list)
    provisioned_throughput: ProvisionedThroughput = field(default_factory=ProvisionedThroughput)
    quality_scores: QualityScores = field(default_factory=QualityScores)
    pricing_last_updated: datetime | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    active: bool = True
    """False: switched off, whatever its status."""

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 (any value)
        """Keep numbers: None is unknown."""
        if value is None and name in _ASSUMED:
            # A server that the old registry knew had its type's name.
            value = assumed_price(self.provider) if _ASSUMED[name] is UNKNOWN_PRICE else _ASSUMED[name]
        if name in _FROM_JSON and isinstance(value, dict | str):
            value = _FROM_JSON[name](value)
        object.__setattr__(self, name, value)

    def is_available(self) -> bool:
        """Whether it is offered: active and experimental models are."""
        return self.active and self.status in OFFERED_STATUSES

    def supports_capability(self, capability: str) -> bool:
        """Whether it can do this; `function_calling` is `tool_use`."""
        return self.capabilities.has_capability(capability)

    has_capability = supports_capability

    @property
    def supports_function_calling(self) -> bool:
        """Whether it calls functions."""
        return self.capabilities.supports_function_calling

    @property
    def supports_code_execution(self) -> bool:
        """Whether it runs code."""
        return self.capabilities.supports_code_execution

    @property
    def capabilities_list(self) -> list[str]:
        """Its capabilities by name."""
        return self.capabilities.capabilities_list

    def calculate_cost(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> float:
        """Return the price of a request, in the unit of the prices: US dollars.

        `cached_tokens` are not part of `input_tokens`. Without a price of their own they cost as much.
        """
        cached = self.cost_per_1m_cached_input_tokens
        price_of_cached = self.cost_per_1m_input_tokens if isinstance(cached, Assumed) else cached
        tokens = (
            (input_tokens, self.cost_per_1m_input_tokens),
            (output_tokens, self.cost_per_1m_output_tokens),
            (cached_tokens, price_of_cached),
        )
        return sum(count / 1_000_000 * price for count, price in tokens)

    def has_provisioned_throughput(self) -> bool:
        """Whether capacity is reserved for it."""
        return self.provisioned_throughput.enabled

    def get_effective_cost(self, input_tokens: int, output_tokens: int) -> float:
        """Return the price of a request: nothing more where capacity is reserved."""
        return 0.0 if self.has_provisioned_throughput() else self.calculate_cost(input_tokens, output_tokens)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON."""
        updated = self.pricing_last_updated
        return asdict(self) | {
            "capabilities": self.capabilities.to_dict(),
            "status": str(self.status),
            "regions": list(self.regions),
            "pricing_last_updated": updated.isoformat() if updated else None,
        }
