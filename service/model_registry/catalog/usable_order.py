"""The order of models for programs that take the first one. Services have an order of their own, in `views.py`."""

from __future__ import annotations

from collections.abc import Iterable

from model_registry.catalog.views import is_offered
from model_registry.entities.model import Model
from model_registry.snapshot.live_deployments import is_local, live_deployments
from model_registry.snapshot.snapshot import Snapshot


def usable_first(snapshot: Snapshot, models: Iterable[Model]) -> list[Model]:
    """Models in the order in which a program that takes the first one should find them.

    Offered ones come first; among them what a node has loaded now, then other models of servers of one's own, then
    those of hosted providers. Otherwise the order stays.
    """

    def place(model: Model) -> tuple[bool, bool, bool]:
        is_loaded = bool(live_deployments(snapshot, model.id))
        return not is_offered(snapshot, model), not is_loaded, not is_local(snapshot.providers.get(model.provider_id))

    return sorted(models, key=place)
