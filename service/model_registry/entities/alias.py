"""An alias: another name for a model, in a context or everywhere."""

from __future__ import annotations

from pydantic import Field

from model_registry.entities.base import Draft, GatewayLongName, Row, ShortName

GATEWAY_CONTEXTS = frozenset({None, "default", "tensorzero"})
"""Contexts in which an alias is also a model key of the gateway."""


class Alias(Row):
    """An alias as stored."""

    model_id: str
    alias: str
    context: str | None = None


class AliasDraft(Draft):
    """Writable fields of an alias, with its model resolved."""

    model_id: str
    alias: GatewayLongName = Field(examples=["default_embedding"])
    context: ShortName | None = Field(
        None, description="Context in which the alias is valid; by default everywhere.", examples=["tensorzero"]
    )
