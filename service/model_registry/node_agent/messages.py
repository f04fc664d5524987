"""Builds a node's messages in the forms of docs/gpu-events.md. Pure: times are arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from model_registry.messaging.subjects import LOADED, STATUS, UNLOADED
from model_registry.node_agent.model_server import Listed

Message = tuple[str, dict[str, Any]]
"""Subject and content."""


def model_message(node_id: str, listed: Listed, at: float, *, there: bool) -> Message:
    """Build the event of one model: loaded, in error, or unloaded."""
    content = {
        "node_id": node_id,
        "provider_type": listed.model.provider_type,
        "model_id": listed.model.model_id,
        "ts": at,
    }
    if not there:
        return UNLOADED, {**content, "status": "unloaded"}
    more = _facts(listed, "vram_allocated_mb")
    return LOADED, {**content, "status": listed.state, "endpoint": listed.endpoint, **more}


def status_message(
    node_id: str, models: Iterable[Listed], at: float, *, endpoint: str | None, data: Mapping[str, Any]
) -> Message:
    """Build the heartbeat. It lists all loaded models: a model that is not listed is unloaded."""
    content = {
        "type": STATUS,
        "node_id": node_id,
        "ts": at,
        "data": {"loaded_models": {one.model.key: _entry(one) for one in models}, **data},
    }
    return STATUS, content if endpoint is None else {**content, "endpoint": endpoint}


def _entry(listed: Listed) -> dict[str, Any]:
    return {
        "model_id": listed.model.model_id,
        "provider": listed.model.provider_type,
        "state": listed.state,
        "endpoint": listed.endpoint,
        "loaded_at": datetime.fromtimestamp(listed.since, UTC).isoformat(),
        **_facts(listed, "vram_mb"),
    }


def _facts(listed: Listed, vram: str) -> dict[str, Any]:
    """Return what is known of a model; the two forms name its memory differently."""
    facts = {vram: listed.model.vram_mb, "context_length": listed.model.context_length, "error_message": listed.reason}
    return {key: value for key, value in facts.items() if value is not None}
