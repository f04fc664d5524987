"""Rows that a configuration is published without, because validation refuses them. Pure, and the same for all gateways.

`fault_search.py` finds them; here is what they are, a snapshot without them, and when they are tried again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from model_registry.entities.base import Row
from model_registry.entities.config import ConfigSection
from model_registry.errors import Reason
from model_registry.snapshot.difference import label_of
from model_registry.snapshot.snapshot import Snapshot

SECTIONS = "config_sections"
DEPLOYMENTS = "model_deployments"
_CONCERN_ALL = frozenset({SECTIONS, "config_files"})
"""A change in these may mend anything, and is rare."""
_NAMES = ("name", "alias", "path", "node_id")
"""Columns by which other rows refer to a row, besides its id."""
_LONGEST_REASON = 1000
_MOST_REASONS = 3

Settings = Mapping[str, Mapping[str, Any]]
"""Values of sections, by name."""


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """What can be left out of a configuration: a row, or one entry of a section."""

    table: str
    row_id: str
    entry: str = ""
    """Key in a section whose entries stand alone; empty: the whole row."""
    as_accepted: bool = False
    """Keep the value accepted last instead of leaving it out: without settings a gateway would lack limits or keys."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A part that validation refuses, and why."""

    part: Part
    kind: str
    name: str
    reasons: tuple[Reason, ...]
    since: int
    """The revision from which on it is left out."""

    @property
    def reason(self) -> str:
        """The reasons as one line."""
        return "; ".join(map(str, self.reasons))

    def view(self) -> dict[str, Any]:
        """As JSON values, for people and for the file on disk."""
        part = self.part
        return {
            "kind": self.kind,
            "name": self.name,
            "reasons": [asdict(reason) for reason in self.reasons],
            "since_revision": self.since,
            "table": part.table,
            "id": part.row_id,
            "entry": part.entry or None,
            "as_accepted": part.as_accepted,
        }

    @classmethod
    def read(cls, view: Mapping[str, Any]) -> Exclusion:
        """Read a result of `view`. Errors: KeyError, TypeError, ValueError."""
        part = Part(str(view["table"]), str(view["id"]), str(view["entry"] or ""), bool(view["as_accepted"]))
        reasons = tuple(Reason(str(reason["where"]), str(reason["message"])) for reason in view["reasons"])
        return cls(part, str(view["kind"]), str(view["name"]), reasons, int(view["since_revision"]))


_STAYS = "the value that was accepted last stays in use"
_GONE = "no value of it was accepted before, so gateways get none"


def exclusion(
    snapshot: Snapshot, part: Part, reasons: Iterable[Reason], revision: int, accepted: Settings
) -> Exclusion:
    """Describe a part of a snapshot that is refused for these reasons; `accepted`: the settings accepted last."""
    row = snapshot.tables[part.table].get(part.row_id)
    if row is None:
        kind, name = "row", part.row_id
    elif part.table == DEPLOYMENTS:
        kind, name = "deployment", f"{row.node_id}/{row.provider_type}/{row.announced_model}"
    else:
        kind, name = label_of(snapshot, part.table, row)
    name = f"{name}.{part.entry}" if part.entry else name
    shown = [Reason(reason.where, reason.message[:_LONGEST_REASON]) for reason in dict.fromkeys(reasons)]
    shown = shown[:_MOST_REASONS]
    if part.as_accepted:
        stays = isinstance(row, ConfigSection) and row.name in accepted
        shown.append(Reason("", _STAYS if stays else _GONE))
    return Exclusion(part, kind, name, tuple(shown), revision)


def without(snapshot: Snapshot, parts: Iterable[Part], accepted: Settings) -> Snapshot:
    """Return the registry without these parts; settings get the value of `accepted`, or go where it has none."""
    rows: dict[str, dict[str, Row | None]] = {}
    entries: dict[str, set[str]] = {}
    for part in parts:
        row = snapshot.tables[part.table].get(part.row_id)
        if row is None:
            continue
        if part.entry:
            entries.setdefault(part.row_id, set()).add(part.entry)
        elif part.as_accepted and isinstance(row, ConfigSection):
            value = accepted.get(row.name)
            kept = None if value is None else row.model_copy(update={"value": dict(value)})
            rows.setdefault(part.table, {})[part.row_id] = kept
        else:
            rows.setdefault(part.table, {})[part.row_id] = None
    for row_id, keys in entries.items():
        section = snapshot.sections[row_id]
        rest = {key: value for key, value in section.value.items() if key not in keys}
        rows.setdefault(SECTIONS, {}).setdefault(row_id, section.model_copy(update={"value": rest}))
    return snapshot.with_rows({table: list(found.items()) for table, found in rows.items()}) if rows else snapshot


def changed_rows(before: Snapshot, after: Snapshot, tables: Iterable[str]) -> Iterator[tuple[str, Row]]:
    """Yield table and row, as it was and as it is, of each row of these tables that differs."""
    for table in tables:
        old, new = before.tables[table], after.tables[table]
        if old is new:
            continue
        for row_id in new.may_differ(old):
            was, now = old.get(row_id), new.get(row_id)
            if was is not now and was != now:
                yield from ((table, row) for row in (was, now) if row is not None)


def touched(snapshot: Snapshot, parts: Iterable[Part], changed: Iterable[tuple[str, Row]]) -> set[Part]:
    """Return the parts that a change may have mended: of a row that changed, or that names one that did."""
    changed = list(changed)
    if any(table in _CONCERN_ALL for table, _ in changed):
        return set(parts)
    names = {name for _, row in changed for name in _names(row)}
    found = set()
    for part in parts:
        row = snapshot.tables[part.table].get(part.row_id)
        if row is None or not names.isdisjoint(mentions(row)):
            found.add(part)
    return found


def _names(row: Row) -> Iterator[str]:
    yield row.id
    yield from (str(name) for column in _NAMES if (name := getattr(row, column, None)))
    yield from _function_key(row)


def mentions(row: Row) -> set[str]:
    """Return all that a row says as text: its id, what it refers to, and every string in its JSON columns."""
    return {*_strings(row.model_dump()), *_function_key(row)}


def _function_key(row: Row) -> Iterator[str]:
    if service := getattr(row, "service_name", None):
        yield f"{service}/{getattr(row, 'function_name', '')}"


def _strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, item in value.items():
                yield str(key)
                yield from _strings(item)
        case list():
            for item in value:
                yield from _strings(item)
