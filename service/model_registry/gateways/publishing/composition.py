"""Wires publishing together: a renderer, a checker and a file for each gateway."""

from __future__ import annotations

from collections.abc import Callable

from model_registry.entities.gateway import Gateway
from model_registry.gateways.kinds import KINDS
from model_registry.gateways.publishing.pins import Earlier, Pins
from model_registry.gateways.publishing.publishable import Selector
from model_registry.gateways.publishing.published import AcceptedFile
from model_registry.gateways.publishing.publisher import ConfigPublisher
from model_registry.gateways.publishing.publishers import GatewayPublishers
from model_registry.gateways.publishing.renderer import GatewayRenderer
from model_registry.settings import Settings
from model_registry.store.registry import Registry


def make_publishers(
    settings: Settings,
    registry: Registry,
    history: Earlier,
    validated: Callable[[str, str, str, float], None],
    worker_failed: Callable[[str], None],
) -> GatewayPublishers:
    """Make the publishers of all gateways. `validated` counts results, by gateway and kind; `worker_failed` bugs."""

    def make(gateway: Gateway) -> ConfigPublisher:
        kind = KINDS[gateway.kind]
        renderer = GatewayRenderer(kind, settings.route_hold_seconds)
        checker = kind.make_checker(settings.check_with_gateway)
        selector = Selector(renderer, checker, gateway, publish=settings.publish)

        def counted(outcome: str, seconds: float) -> None:
            validated(selector.gateway.name, kind.name, outcome, seconds)

        return ConfigPublisher(registry, selector, Pins(history), AcceptedFile(settings.cache_dir, gateway), counted)

    return GatewayPublishers(registry, make, worker_failed)
