"""Routes of language models, worked out once for each state of the registry: requests come often, changes rarely."""

from __future__ import annotations

import time
from collections.abc import Callable

from model_registry.entities.openai_paths import OpenAIPath
from model_registry.errors import ModelNotFound
from model_registry.services.dispatch.language_routes import Conditions, Route, route_of
from model_registry.services.dispatch.provider_keys import ProviderKeys
from model_registry.snapshot.snapshot import Snapshot

TABLES = (
    *("model_providers", "models", "model_aliases", "functions", "service_model_mappings"),
    *("model_deployments", "gpu_nodes", "gateways"),
)
"""What routes depend on."""
_MOST_ROUTES = 10_000
_ANY_PATH = OpenAIPath("", "", frozenset())


class LanguageModels:
    """Where requests for language models go, as this replica sees it."""

    def __init__(
        self, keys: ProviderKeys, *, hold_seconds: float = 0.0, clock: Callable[[], float] = time.time
    ) -> None:
        """`hold_seconds`: of deployments that come and go (`fleet/flap_damping.py`). `clock`: epoch seconds."""
        self.keys = keys
        self._hold_seconds = hold_seconds
        self._clock = clock
        self._snapshot: Snapshot | None = None
        self._stamps: tuple[object, ...] = ()
        self._routes: dict[tuple[str, frozenset[str]], Route] = {}

    def route(self, snapshot: Snapshot, asked: str, path: OpenAIPath) -> Route:
        """Where a request goes. Errors: ModelNotFound."""
        if snapshot is not self._snapshot:
            self._follow(snapshot)
        key = (asked, path.model_types)
        found = self._routes.get(key)
        now = self._clock()
        if found is None or found.until <= now:
            found = route_of(snapshot, asked, path.model_types, Conditions(self.keys, now, self._hold_seconds))
            if len(self._routes) >= _MOST_ROUTES:
                self._routes.clear()
            self._routes[key] = found
        return found

    def is_available(self, snapshot: Snapshot, name: str, works: Callable[[str], bool]) -> bool:
        """Whether anything that serves a name can be asked now. `works`: whether a target, by its key, does."""
        try:
            route = self.route(snapshot, name, _ANY_PATH)
        except ModelNotFound:
            return False
        return any(works(target.key) for target in route.targets)

    def _follow(self, snapshot: Snapshot) -> None:
        stamps = tuple(snapshot.tables[name].stamp for name in TABLES)
        if stamps != self._stamps:
            self._routes.clear()
        self._snapshot, self._stamps = snapshot, stamps
