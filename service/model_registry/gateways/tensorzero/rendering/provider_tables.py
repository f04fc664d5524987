"""Makes the gateway's provider table of one model row and its provider, or says why it is left out.

`tensorzero.from_metadata` of a model lists keys to derive from its card and metadata: `cost` (the prices), `timeouts`.
Without it a row gets none, so metadata never leaks into a configuration. `tensorzero.provider` overrides derived keys.
Other rows are not considered here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model_registry.entities.json_types import Json
from model_registry.entities.model import ROUTED_TYPES, Model
from model_registry.entities.provider import Provider, is_at_vendor
from model_registry.entities.provider_types import GATEWAY_TYPES, PROVIDER_TYPES, has_reserved_prefix, is_shorthand
from model_registry.entities.server_address import ollama_base
from model_registry.gateways.tensorzero.project import Table, as_table
from model_registry.gateways.tensorzero.rendering.cost_tables import PRICES, cost_table, left_out, price, prices
from model_registry.snapshot.live_deployments import is_routed
from model_registry.snapshot.through_gateways import is_through

FROM_METADATA = "from_metadata"
COST, TIMEOUTS = "cost", "timeouts"

_LIMITS = {"total_ms": "the longest time for a whole answer", "ttft_ms": "for the first token of a streamed one"}
"""Keys of `metadata.timeouts`, in milliseconds."""


def derived_keys(model: Model, gateway_type: str | None, extras: Mapping[str, Any]) -> Table:
    """Return the requested keys, as far as they are valid; `metadata_faults` reports the others."""
    asked = _asked(model)
    table: Table = {}
    if COST in asked and _knows_usage(gateway_type, extras) and (cost := cost_table(model)):
        table["cost"] = cost
    if TIMEOUTS in asked:
        table |= _timeouts(model)
    return table


def metadata_faults(
    model: Model, gateway_type: str | None, extras: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the errors of the row's request: the column's path, and the reason."""
    here = ("tensorzero", FROM_METADATA)
    value = model.tensorzero.get(FROM_METADATA)
    if value is None:
        return
    if not isinstance(value, list) or not all(item in (COST, TIMEOUTS) for item in value):
        yield here, f"must be a list of {COST} and {TIMEOUTS}"
        return
    if COST in value and "cost" not in extras:
        yield from _cost_faults(model, gateway_type, extras)
    if TIMEOUTS in value and not _timeouts(model):
        keys = " or ".join(f"{key} ({meaning})" for key, meaning in _LIMITS.items())
        yield here, f"asks for timeouts, and metadata.timeouts has neither {keys} as a whole number from 1 up"


def _cost_faults(
    model: Model, gateway_type: str | None, extras: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], str]]:
    here = ("tensorzero", FROM_METADATA)
    if not _knows_usage(gateway_type, extras):
        yield (
            here,
            "asks for cost, and this provider does not report usage as OpenAI does; write tensorzero.provider.cost",
        )
    for key in PRICES:
        if model.card.get(key) is None and model.metadata.get(key) is not None and price(model.metadata[key]) is None:
            yield ("metadata", key), "must be a number from 0 up: it becomes the gateway's cost"
    if not prices(model):
        yield here, f"asks for cost, and the model has no {' or '.join(PRICES)}"


def _asked(model: Model) -> list[Any]:
    value = model.tensorzero.get(FROM_METADATA)
    return value if isinstance(value, list) else []


def _knows_usage(gateway_type: str | None, extras: Mapping[str, Any]) -> bool:
    kind = GATEWAY_TYPES.get(gateway_type or "")
    return kind is not None and kind.speaks_openai and extras.get("api_type") != "responses"


def ignored_prices(offer: ProviderTable) -> str | None:
    """Return which prices the cost leaves out that the row asks for, or None."""
    extras = {**offer.provider.tensorzero, **as_table(offer.model.tensorzero.get("provider"))}
    return left_out(offer.model) if COST in _asked(offer.model) and "cost" not in extras else None


def _timeouts(model: Model) -> Table:
    given = model.metadata.get("timeouts")
    limits = {key: given[key] for key in _LIMITS if _is_limit(given.get(key))} if isinstance(given, dict) else {}
    if model.model_type not in ROUTED_TYPES:
        return {"timeout_ms": limits["total_ms"]} if "total_ms" in limits else {}
    table: Table = {}
    if "total_ms" in limits:
        table["non_streaming"] = {"total_ms": limits["total_ms"]}
    if limits:
        table["streaming"] = limits
    return {"timeouts": table} if table else {}


def _is_limit(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


_RESPONSES = "responses::"
"""`openai::responses::<model>` is OpenAI's other API."""


@dataclass(frozen=True, slots=True)
class ProviderTable:
    """A model at one provider."""

    model: Model
    provider: Provider

    @property
    def key(self) -> str:
        """The provider's key inside the gateway's model."""
        return provider_key(self.model, self.provider)

    @property
    def model_extras(self) -> Table:
        """Extra keys for the model's table from this row."""
        return as_table(self.model.tensorzero.get("model"))


def provider_key(model: Model, provider: Provider | None) -> str:
    """Return the key of a row's provider inside the gateway's model."""
    key = model.tensorzero.get("provider_key")
    return key if isinstance(key, str) else provider.name if provider else ""


def section_of(model: Model) -> str | None:
    """Return the top-level table for models of this type, or None."""
    if model.model_type in ROUTED_TYPES:
        return "models"
    return "embedding_models" if model.model_type == "embedding" else None


def why_left_out(model: Model, provider: Provider | None) -> str | None:
    """Return why this row is not in the configuration, or None when it is."""
    if provider is None:  # validation refuses it, or a variable is missing: it is listed with its reason
        return "its provider is left out"
    if not model.active:
        return "it is not active"
    if fault := why_provider_left_out(provider) or model_fault(model, provider):
        return fault
    return None if section_of(model) else f"the gateway has no models of type {model.model_type}"


def why_provider_left_out(provider: Provider) -> str | None:
    """Return why none of this provider's models is in the configuration, or None."""
    if not provider.active:
        return f"its provider {provider.name} is not active"
    kind = PROVIDER_TYPES.get(provider.type)
    if kind is None or kind.gateway_type is None:
        return f"the gateway has nothing for providers of type {provider.type}"
    if is_through(provider):  # otherwise it is at the address of that gateway
        return f"nobody knows the address of the gateway that it is reached through ({provider.route_by})"
    return provider_fault(provider)


def provider_fault(provider: Provider) -> str | None:
    """Return an error that keeps this provider's models out of every configuration, or None."""
    kind = PROVIDER_TYPES.get(provider.type)
    if kind is None or kind.gateway_type is None:
        return None
    if kind.base_required and not (provider.api_base or is_through(provider) or kind.base_key in provider.tensorzero):
        return f"provider {provider.name} has no api_base, and the gateway needs one for type {kind.name}"
    if provider.api_base and kind.base_key is None:
        return (
            f"provider {provider.name} has an api_base, and the gateway has no key for it with type {kind.name}; "
            "use type openai_compatible, or leave the api_base out"
        )
    if provider.api_key_env_var and kind.credential is None:
        return (
            f"provider {provider.name} has an api_key_env_var, and the gateway has no key for it with type {kind.name};"
            " name its variables in tensorzero.access_key_id and tensorzero.secret_access_key"
        )
    return None


def model_fault(model: Model, provider: Provider) -> str | None:
    """Return an error that keeps this row out of every configuration, or None."""
    kind = PROVIDER_TYPES.get(provider.type)
    section = section_of(model)
    if section is None or kind is None or kind.gateway_type is None:
        return None
    if is_shorthand(model.name):
        return _shorthand_fault(model, provider)
    if has_reserved_prefix(model.name):
        return f"the gateway keeps names that start with {model.name.partition('::')[0]}:: for itself"
    if section == "embedding_models" and not kind.embeddings:
        return f"the gateway cannot embed with providers of type {kind.name}; use openai_compatible"
    return None


def _shorthand_fault(model: Model, provider: Provider) -> str | None:
    """Check a row named by a shorthand, which fixes type and model and allows no other settings."""
    kind_name, _, model_id = model.name.partition("::")
    kind = PROVIDER_TYPES[kind_name]
    start = f"{model.name} is the gateway's own shorthand"
    if provider.type != kind_name:
        return f"{start} for providers of type {kind_name}, not {provider.type}; give the model another name"
    if model_id not in {model.model_id, f"{_RESPONSES}{model.model_id}"}:
        return f"{start} for the model {model_id}, not {model.model_id}; give the model another name"
    variable = provider.api_key_env_var
    if not is_at_vendor(provider.api_base, kind) or (
        variable and kind.credential and variable != kind.credential.variable
    ):
        return f"{start}, which ignores the api_base and the key of {provider.name}; give the model another name"
    if provider.tensorzero or model.tensorzero or is_routed(provider):
        return f"{start}, which takes no further keys and knows no nodes; give the model another name"
    return None


def provider_table(offer: ProviderTable) -> Table:
    """Make the gateway's provider table. A null in a `tensorzero` column removes the key, even a derived one."""
    extras = {**offer.provider.tensorzero, **as_table(offer.model.tensorzero.get("provider"))}
    derived = _derived(offer, extras)
    table = derived | {key: extras[key] for key in sorted(extras)} | {"type": derived["type"]}
    return {key: plain(value) for key, value in table.items() if value is not None}


def rendered_base(provider: Provider) -> str | None:
    """Return a provider's base URL for the gateway. Ollama has OpenAI's protocol below /v1, and its own beside it."""
    base = provider.api_base
    return ollama_base(base) if base and provider.type == "ollama" else base


def _derived(offer: ProviderTable, extras: Table) -> Table:
    model, provider = offer.model, offer.provider
    kind = PROVIDER_TYPES[provider.type]
    table: Table = {"type": kind.gateway_type}
    if kind.model_key and kind.model_key_instead not in extras:
        table[kind.model_key] = model.model_id
    table |= dict.fromkeys(kind.more_model_keys, model.model_id)
    if kind.base_key and provider.api_base:
        table[kind.base_key] = rendered_base(provider)
    if shorthand := is_shorthand(model.name):
        # No credential's location: a shorthand uses the gateway's default.
        if shorthand[1].startswith(_RESPONSES):
            table |= {"model_name": shorthand[1].removeprefix(_RESPONSES), "api_type": "responses"}
    elif kind.credential and provider.api_key_env_var:
        table[kind.credential.key] = f"{kind.credential.scheme}{provider.api_key_env_var}"
    elif kind.credential and kind.key_optional:
        table[kind.credential.key] = "none"
    return table | derived_keys(model, kind.gateway_type, extras)


def plain(value: Json) -> Any:  # noqa: ANN401 (any JSON value)
    """Convert a JSON value for TOML: without nulls, and with sorted keys."""
    match value:
        case dict():
            return {key: plain(value[key]) for key in sorted(value) if value[key] is not None}
        case list():
            return [plain(item) for item in value if item is not None]
    return value
