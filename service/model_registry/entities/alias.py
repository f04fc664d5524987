"""An alias: another name for a model, in a context or everywhere."""

from __future__ import annotations

from pydantic import Field

from model_registry.entities.base import Draft, GatewayLongName, Row, ShortName

GATEWAY_CONTEXTS = frozenset({None, "default", "tensorzero"})
"""The contexts in which an alias is a model key of the gateway too."""


class Alias(Row):
    """An alias as the database holds it."""

    model_id: str
    alias: str
    context: str | None = None


class AliasDraft(Draft):
    """What may be written of an alias, its model already found."""

    model_id: str
    alias: GatewayLongName = Field(examples=["default_embedding"])
    context: ShortName | None = Field(
        None, description="Context in which the alias is valid; by default everywhere.", examples=["tensorzero"]
    )
