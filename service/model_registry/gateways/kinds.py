"""All kinds of gateways."""

from __future__ import annotations

from model_registry.gateways.kind import GatewayKind
from model_registry.gateways.litellm.kind import LITELLM
from model_registry.gateways.smg.kind import SMG
from model_registry.gateways.tensorzero.kind import TENSORZERO

KINDS: dict[str, GatewayKind] = {kind.name: kind for kind in (TENSORZERO, LITELLM, SMG)}
"""By name."""
