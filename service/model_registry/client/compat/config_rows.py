"""The old registry's models from and to a registry's rows. Assumed numbers are never written."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from pydantic import Field, ValidationError

from model_registry.client.compat.model_config import (
    TEXT,
    ModelCapabilities,
    ModelConfig,
    ModelStatus,
    ProvisionedThroughput,
    QualityScores,
    assumed_price,
    fact,
)
from model_registry.client.rows import CatalogModel
from model_registry.entities.base import ShortName
from model_registry.entities.field_errors import reasons_of
from model_registry.entities.model import OFFERED_STATUSES, ROUTED_TYPES, ModelDraft
from model_registry.entities.model_card import Count, ModelCard
from model_registry.errors import InvalidModel, Reason

_PRICES = ("cost_per_1m_input_tokens", "cost_per_1m_output_tokens")
_FACTS = (
    *("max_output_tokens", *_PRICES, "cost_per_1m_cached_input_tokens"),
    *("rate_limit_rpm", "rate_limit_tpm", "latency_p50_ms", "latency_p99_ms"),
)
"""Fields with the same names in a row's card."""

_NO_STREAMING = "supports_streaming"
IN_METADATA = ("regions", "provisioned_throughput", "pricing_last_updated", _NO_STREAMING)
"""Fields that a row has no column for: keys of its metadata. A language model streams unless this one is false."""


class _Checked(ModelDraft, ModelCard):
    """The checks of a registry, and those of the old one."""

    provider: ShortName
    context_window: Count | None = None
    provider_id: str = Field("", exclude=True)


def checked(config: ModelConfig) -> ModelConfig:
    """Return the same model. Errors: InvalidModel, naming every bad field."""
    try:
        _Checked.model_validate(fields_of(config))
    except ValidationError as error:
        reasons = reasons_of(error)
        message = f"The model {config.model_id!r} is not valid: {'; '.join(map(str, reasons))}"
        raise InvalidModel(message, reasons=reasons) from error
    except (AttributeError, TypeError) as error:  # a field of another form
        message = f"The model {config.model_id!r} is not valid: {error}"
        raise InvalidModel(message, reasons=[Reason("", str(error))]) from error
    return config


def fields_of(config: ModelConfig) -> dict[str, Any]:
    """Return the body of `POST /api/models` for a model."""
    can = config.capabilities
    scores = {name: fact(score) for name, score in vars(config.quality_scores).items() if fact(score) is not None}
    return {
        "name": config.model_id,
        "model_id": config.model_id,
        "provider": config.provider,
        "model_type": ("vl" if can.supports_vision else "chat") if can.supports_text else "embedding",
        "display_name": config.display_name or None,
        "capabilities": [name for name in can.capabilities_list if name not in {TEXT, "function_calling"}],
        "context_window": fact(config.context_window),
        "status": str(config.status),
        "quality_scores": scores or None,
        "metadata": _metadata_of(config),
        "active": config.active,
        **{name: fact(getattr(config, name)) for name in _FACTS},
    }


def _metadata_of(config: ModelConfig) -> dict[str, Any]:
    throughput = {name: value for name, value in asdict(config.provisioned_throughput).items() if value is not None}
    updated = config.pricing_last_updated
    can = config.capabilities
    own = {
        "regions": list(config.regions) or None,
        "provisioned_throughput": throughput if throughput != {"enabled": False} else None,
        "pricing_last_updated": updated.isoformat() if updated else None,
        _NO_STREAMING: False if can.supports_text and not can.supports_streaming else None,
    }
    return config.metadata | {name: value for name, value in own.items() if value is not None}


def config_of(row: CatalogModel, model_id: str) -> ModelConfig:
    """Make a model of this id from a row."""
    scores = row.quality_scores.model_dump() if row.quality_scores else {}
    own = _read_metadata(row.metadata)
    metadata = {name: value for name, value in row.metadata.items() if name not in own}
    text = row.model_type in ROUTED_TYPES
    capabilities = ModelCapabilities.of(row.capabilities, text=text)
    streams = own.pop(_NO_STREAMING, True)
    if text and streams:
        capabilities.supports_streaming = True
    config = ModelConfig(
        model_id,
        row.provider_name or row.provider_id,
        row.display_name or "",
        capabilities,
        context_window=row.context_window,  # type: ignore[arg-type] # None: assumed
        status=ModelStatus(row.status),
        quality_scores=QualityScores(**scores),
        metadata=metadata,
        active=row.offered if row.status in OFFERED_STATUSES else row.active,
        **own,
        **{name: getattr(row, name) for name in _FACTS},
    )
    for name in _PRICES:
        if getattr(row, name) is None and row.provider_type is not None:
            setattr(config, name, assumed_price(row.provider_type))
    return config


def _read_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that stand in metadata. A value of another form stays metadata: others write there too."""
    found: dict[str, Any] = {}
    regions, throughput = metadata.get("regions"), metadata.get("provisioned_throughput")
    if isinstance(regions, list) and all(isinstance(region, str) for region in regions):
        found["regions"] = list(regions)
    if isinstance(throughput, dict) and throughput.keys() <= {known.name for known in fields(ProvisionedThroughput)}:
        found["provisioned_throughput"] = ProvisionedThroughput(**throughput)
    if metadata.get(_NO_STREAMING) is False:
        found[_NO_STREAMING] = False
    with suppress(KeyError, TypeError, ValueError):
        found["pricing_last_updated"] = datetime.fromisoformat(metadata["pricing_last_updated"])
    return found
