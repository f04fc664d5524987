"""What one gateway gets of each snapshot: what it carries, without routes that come and go; and its rendering.

What needs a variable that is not set where the gateway runs is left out of the rendering alone.
"""

from __future__ import annotations

import threading
from dataclasses import replace

from model_registry.entities.gateway import Gateway
from model_registry.fleet.flap_damping import DampedSnapshot, damp
from model_registry.gateways.environment import Environments
from model_registry.gateways.kind import GatewayKind, Rendered
from model_registry.gateways.scope import Scopes
from model_registry.snapshot.snapshot import Snapshot


class GatewayRenderer:
    """Keeps the last rendering, and the fragments that make the next one cheap. From any thread."""

    def __init__(self, kind: GatewayKind, hold_seconds: float) -> None:
        self.kind = kind
        self._hold_seconds = hold_seconds
        self._scopes = Scopes()
        self._environments = Environments(kind.needs, kind.lacks)
        self._renderer = kind.make_renderer()
        self._lock = threading.Lock()

    def twin(self) -> GatewayRenderer:
        """Return one that keeps nothing yet: for what must not hold up publishing, such as an earlier revision."""
        return GatewayRenderer(self.kind, self._hold_seconds)

    def damped(self, snapshot: Snapshot, gateway: Gateway, now: float) -> DampedSnapshot:
        """What of this snapshot a configuration is to be made of at this time (epoch seconds)."""
        return damp(self._scopes.of(snapshot, gateway), now, self._hold_seconds)

    def all_of(self, snapshot: Snapshot, gateway: Gateway, now: float) -> Rendered:
        """The configuration of a whole registry, at this time."""
        return self.of(self.damped(snapshot, gateway, now).snapshot, gateway)

    def of(self, snapshot: Snapshot, gateway: Gateway) -> Rendered:
        """The configuration of what `damped` returned. The lock: a full load is rendered off the event loop."""
        with self._lock:
            given = self._environments.of(snapshot, gateway)
            rendered = self._renderer.render(given.snapshot, gateway)
        if given.snapshot is snapshot and not given.reasons:
            return rendered
        return replace(
            rendered, omitted=(*given.omissions, *rendered.omitted), missing=given.missing, reasons=given.reasons
        )
