"""TensorZero as a gateway kind."""

from __future__ import annotations

from collections.abc import Sequence

from model_registry.entities.change import Change
from model_registry.entities.gateway import Gateway
from model_registry.file_paths import CONFIG_FILE
from model_registry.gateways.kind import GatewayKind, Rendered
from model_registry.gateways.tensorzero.backends import lacking
from model_registry.gateways.tensorzero.rendering.bundle import bundle
from model_registry.gateways.tensorzero.rendering.left_out import OthersContent
from model_registry.gateways.tensorzero.rendering.render import (
    FLEET_TABLES,
    RenderCache,
    concerns_routes,
    render,
)
from model_registry.gateways.tensorzero.rendering.variables import row_needs
from model_registry.gateways.tensorzero.rules.write_guard import TABLES, refuse_new_faults, relevant_operations
from model_registry.gateways.tensorzero.suspects import TensorZeroSuspects, settings_of
from model_registry.gateways.tensorzero.validation.checker import TensorZeroChecker
from model_registry.snapshot.snapshot import Snapshot


class TensorZeroRenderer:
    """Renders projects: `tensorzero.toml` and the files that it refers to."""

    def __init__(self) -> None:
        self._cache = RenderCache()
        self._others = OthersContent()

    def render(self, snapshot: Snapshot, gateway: Gateway) -> Rendered:
        """Render a snapshot of what the gateway carries."""
        rendered = render(snapshot, self._cache)
        omitted = (*rendered.omitted, *self._others.omissions(snapshot, gateway))
        return Rendered(bundle(snapshot, rendered), omitted, rendered.variables)


def _concerns(before: Snapshot, after: Snapshot, changes: Sequence[Change]) -> bool:
    same = all(before.tables[name] is after.tables[name] for name in TABLES)
    return not same or concerns_routes(before, after, changes)


TENSORZERO = GatewayKind(
    name="tensorzero",
    main_file=CONFIG_FILE,
    media_type="application/toml",
    tables=TABLES | FLEET_TABLES,
    make_renderer=TensorZeroRenderer,
    make_checker=TensorZeroChecker,
    make_suspects=TensorZeroSuspects,
    settings_of=settings_of,
    needs=row_needs,
    lacks=lacking,
    concerns=_concerns,
    relevant=relevant_operations,
    refuse=refuse_new_faults,
)
