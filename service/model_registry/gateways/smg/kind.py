"""SMG as a gateway kind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from model_registry.entities.change import Change, Operation
from model_registry.errors import Reason
from model_registry.gateways.kind import Files, GatewayKind
from model_registry.gateways.publishing.exclusions import DEPLOYMENTS, Part, Settings
from model_registry.gateways.publishing.fault_search import Named
from model_registry.gateways.smg.render import MAIN_FILE, TABLES, VERSION, SmgRenderer
from model_registry.gateways.smg.rules import doubts, faults
from model_registry.gateways.smg.workers import key_of, worker_id
from model_registry.snapshot.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class SmgFindings:
    """The result of a validation."""

    reasons: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()
    crashed: bool = False
    by_loader: bool = False
    by_rules: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the rules do not refuse it."""
        return not self.reasons


class SmgChecker:
    """Asks the rules, which take 130 ms for 10,000 workers."""

    loader: str | None = None

    def __init__(self, ask_gateway: bool = True) -> None:  # noqa: FBT001, FBT002 (of the protocol)
        """`ask_gateway` changes nothing: why is in `rules.py`."""

    async def check(self, files: Files, *, loader: bool) -> SmgFindings:  # noqa: ARG002 (of the protocol)
        """Validate these files, in a thread."""
        return await asyncio.to_thread(_findings, files[MAIN_FILE])

    def close(self) -> None:
        """Nothing is kept."""


def _findings(text: bytes) -> SmgFindings:
    reasons = tuple(faults(text, VERSION))
    return SmgFindings(reasons, () if reasons else tuple(doubts(text)))


@dataclass(frozen=True, slots=True)
class SmgSuspects:
    """Deployments, each of which can be left out."""

    accepted: Callable[[], Settings | None]
    """Of no use here: a list of workers has no settings."""

    def parts(self, snapshot: Snapshot) -> Sequence[Part]:
        """Return all deployments."""
        return [Part(DEPLOYMENTS, row.id) for row in snapshot.deployments]

    def named(self, snapshot: Snapshot, reasons: Iterable[Reason]) -> Sequence[Named]:
        """Return the deployments whose worker a reason names."""
        by_id = {key_of(reason.where): reason for reason in reasons}
        return [
            Named(Part(DEPLOYMENTS, row.id), by_id[key], certain=True)
            for row in snapshot.deployments
            if (key := worker_id(row, row.announced_model)) in by_id
        ]

    def owner(self, snapshot: Snapshot, part: Part) -> Part | None:  # noqa: ARG002 (of the protocol)
        """Return None: deployments are nobody's mistake but their own."""
        return None


def _concerns(before: Snapshot, after: Snapshot, changes: Sequence[Change]) -> bool:  # noqa: ARG001 (of the protocol)
    return any(before.tables[name] is not after.tables[name] for name in (*TABLES, "gateways"))


def _relevant(before: Snapshot, operations: Sequence[Operation]) -> list[Operation]:  # noqa: ARG001 (of the protocol)
    """Return none: what cannot be a worker is left out, and keeps nobody from writing."""
    return []


def _refuse(before: Snapshot, after: Snapshot, operations: Sequence[Operation]) -> None:
    """Refuse nothing."""


def _settings_of(snapshot: Snapshot) -> Settings:  # noqa: ARG001 (of the protocol)
    return {}


SMG = GatewayKind(
    name="smg",
    main_file=MAIN_FILE,
    media_type="application/json",
    tables=TABLES | {"gateways"},
    make_renderer=SmgRenderer,
    make_checker=SmgChecker,
    make_suspects=SmgSuspects,
    settings_of=_settings_of,
    concerns=_concerns,
    relevant=_relevant,
    refuse=_refuse,
    needs=lambda _snapshot, _row: (),  # a list of workers names no key
)
