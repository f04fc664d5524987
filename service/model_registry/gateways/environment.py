"""What of a gateway's rows needs what is not there where it runs, and a snapshot without it.

A gateway does not start on a configuration that names a variable which is not set, or that needs a database which it
has not. What a row needs is its kind's to say. Pure, but for what `Environments` keeps: the next snapshot costs the
number of changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from model_registry.entities.base import Row
from model_registry.entities.config import ConfigSection
from model_registry.entities.function import Function, Mapping
from model_registry.entities.gateway import Gateway
from model_registry.entities.provider import Provider
from model_registry.errors import Reason
from model_registry.gateways.kind import Variable
from model_registry.gateways.omission import Omission
from model_registry.snapshot.snapshot import Snapshot
from model_registry.snapshot.table import Table

Needs = Callable[[Snapshot, Row], Iterable[str]]
"""The variables that a gateway wants to be set before it takes a row, by a kind of gateway."""

Lacks = Callable[[Row, Gateway], Iterable[str]]
"""Why else a gateway cannot have a row, and what to do, by a kind of gateway."""

_PROVIDERS, _SECTIONS = "model_providers", "config_sections"
_ROWS = (_PROVIDERS, "models", "functions", "service_model_mappings", _SECTIONS)
_KINDS = {"model_providers": "provider", "models": "model", "functions": "function"}


@dataclass(frozen=True, slots=True)
class Provided:
    """What a gateway gets of its rows in its environment."""

    snapshot: Snapshot
    """Without the rows whose variables are missing; the snapshot asked about when that is all."""
    omissions: tuple[Omission, ...] = ()
    """What is left out, and what to do."""
    reasons: tuple[Reason, ...] = ()
    """Why there is nothing to publish: settings that name a missing variable, or a gateway whose row wants it so."""
    missing: tuple[Variable, ...] = ()
    """The variables that are missing, with the rows that need them."""


def _nothing(_row: Row, _gateway: Gateway) -> Iterable[str]:
    return ()


def provided(snapshot: Snapshot, gateway: Gateway, needs: Needs, lacks: Lacks = _nothing) -> Provided:
    """Return what a gateway gets of a snapshot of what it carries (`scope.py`)."""
    return _Environment(gateway, needs, lacks).of(snapshot)


class Environments:
    """What one gateway gets. What was asked last is kept: the next costs the changes. For one caller at a time."""

    def __init__(self, needs: Needs, lacks: Lacks = _nothing) -> None:
        self._needs = needs
        self._lacks = lacks
        self._known: _Environment | None = None

    def of(self, snapshot: Snapshot, gateway: Gateway) -> Provided:
        """As `provided`."""
        if self._known is None or not self._known.fits(gateway):
            self._known = _Environment(gateway, self._needs, self._lacks)
        return self._known.of(snapshot)


@dataclass(slots=True)
class _Environment:
    """One environment, with what was left out of the snapshot asked last."""

    gateway: Gateway
    needs: Needs
    lacks: Lacks
    base: Snapshot | None = None
    tables: dict[str, Table[Any]] = field(default_factory=dict)
    """Without the rows left out."""
    left_out: dict[str, dict[str, Omission]] = field(default_factory=dict)
    """Table -> id of a row -> why."""
    reasons: dict[str, Reason] = field(default_factory=dict)
    """Id of a row -> why there is nothing to publish."""
    names: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    """Id of a row that needs what is missing -> the row in words, and the variables."""
    result: Provided | None = None
    there: frozenset[str] | None = field(init=False)
    """The variables that are set; None: not known."""

    def __post_init__(self) -> None:
        names = self.gateway.environment
        self.there = None if names is None else frozenset(names)

    def fits(self, gateway: Gateway) -> bool:
        """Whether this row says the same of its environment."""
        mine, theirs = ((row.name, row.environment, row.settings) for row in (self.gateway, gateway))
        return mine == theirs

    def of(self, snapshot: Snapshot) -> Provided:
        if self.result is not None and snapshot is self.base:
            return self.result
        is_known = self.gateway.environment is not None or self.gateway.settings.get("has") is not None
        tables = _ROWS if is_known else (_PROVIDERS,)
        before = self.base
        if before is not None and before.tables[_SECTIONS] is not snapshot.tables[_SECTIONS]:
            before = None  # settings may name other variables for every row
        for name in tables:
            self._look_at(before, snapshot, name)
        self.base = snapshot
        changed = {name: table for name, table in self.tables.items() if table is not snapshot.tables[name]}
        found = [omission for rows in self.left_out.values() for omission in rows.values()]
        rest = replace(snapshot, tables=snapshot.tables.update(changed)) if changed else snapshot
        reasons = tuple(sorted(self.reasons.values(), key=str))
        self.result = Provided(rest, tuple(sorted(found)), reasons, self._variables())
        return self.result

    def _look_at(self, before: Snapshot | None, snapshot: Snapshot, name: str) -> None:
        table = snapshot.tables[name]
        known = self.left_out.setdefault(name, {})
        if before is None:
            known.clear()
            self.tables.pop(name, None)
        ids = {row.id for row in table} if before is None else table.may_differ(before.tables[name])
        for row_id in sorted(ids):
            row = table.get(row_id)
            known.pop(row_id, None)
            self.reasons.pop(row_id, None)
            self.names.pop(row_id, None)
            if row is not None:
                self._look_at_row(snapshot, name, row)
        rest = self.tables.get(name)
        if not known:
            self.tables[name] = table
        elif rest is None or (before is not None and rest is before.tables[name]):
            self.tables[name] = table.changed([(row_id, None) for row_id in sorted(known)])
        elif ids:
            rows = [(row_id, None if row_id in known else table.get(row_id)) for row_id in sorted(ids)]
            self.tables[name] = rest.changed(rows)

    def _variables(self) -> tuple[Variable, ...]:
        found: dict[str, list[str]] = {}
        for by, names in self.names.values():
            for name in names:
                found.setdefault(name, []).append(by)
        return tuple(Variable(name, tuple(sorted(by))) for name, by in sorted(found.items()))

    def _missing(self, snapshot: Snapshot, row: Row) -> Iterator[str]:
        there = self.there
        if there is None and not (isinstance(row, Provider) and row.only_with_key):
            return
        yield from sorted({name for name in self.needs(snapshot, row) if there is None or name not in there})

    def _look_at_row(self, snapshot: Snapshot, table: str, row: Row) -> None:
        """Note what is missing for a row: it is left out, or everything is held back because of it.

        Of settings nothing can be left out: without a relay or limits a gateway would do something else.
        """
        missing = list(self._missing(snapshot, row))
        reasons = [*([why_missing(self.gateway, missing)] if missing else []), *self.lacks(row, self.gateway)]
        if not reasons:
            return
        kind, name = _named(snapshot, table, row)
        why = "; ".join(reasons)
        if missing:
            self.names[row.id] = f"{kind} {name}", missing
        is_asked_for = isinstance(row, Provider) and row.only_with_key
        if isinstance(row, ConfigSection) or (
            self.gateway.settings.get("missing_variable") == "refuse" and not is_asked_for
        ):
            self.reasons[row.id] = Reason(f"{kind} {name}", why)
        else:
            self.left_out[table][row.id] = Omission(kind, name, why, switched_off=True)


def why_missing(gateway: Gateway, missing: Iterable[str]) -> str:
    """Say that variables are missing where a gateway runs, and what to do."""
    names = list(missing)
    listed, options = ", ".join(names), " ".join(f"--add {name}" for name in names)
    if gateway.environment is None:
        state = f"it is there only with its key, and it is not known that {listed} is set where {gateway.name} runs"
    else:
        state = f"{listed} {'is' if len(names) == 1 else 'are'} not set where the gateway {gateway.name} runs"
    return f"{state}. Set {listed} there, then: model-registry gateways env {gateway.name} {options}"


def _named(snapshot: Snapshot, table: str, row: Row) -> tuple[str, str]:
    """Return kind and name of a row, as in the other omissions."""
    match row:
        case ConfigSection():
            return "section", row.name
        case Mapping():
            key = (row.service_name, row.function_name)
            functions: list[Function] = list(snapshot.functions.where("key", key))
            of = functions[0].name if functions else "/".join(key)
            return "variant", f"{of}.{row.variant_name}"
    return _KINDS[table], str(row.name)  # type: ignore[attr-defined] # the other rows have one
