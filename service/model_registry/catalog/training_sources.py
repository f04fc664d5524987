"""What a list of models lacks because a source fails: for the header `X-Registry-Partial`. Pure.

The header is a list of strings with parameters as RFC 9651 writes them, so that programs can parse it:
`"timm";reason="it cannot be reached";since="2026-11-30T08:00:00+00:00"`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from model_registry.snapshot.snapshot import Snapshot
from model_registry.snapshot.table_specs import SPECS

PARTIAL_TABLES = tuple(name for name in ("model_sources", "source_answers") if name in SPECS)
"""What the header is made of."""

TRAINING_KINDS = {"training_service": 0, "module": 2, "file": 3, "directory": 3}
"""Kinds of sources that list such models -> their place in the chain, among those of one position."""

_MOST_NAMED = 20
_LONGEST = 200
"""Sources, and characters of each reason: proxies refuse long headers."""


def partial_header(snapshot: Snapshot) -> str:
    """Name the sources whose models may be missing or old, each with the reason; empty if there are none."""
    return header_list(_items(snapshot))


def header_list(items: Iterable[str | tuple[str, Mapping[str, str]]]) -> str:
    """Write a list of strings, each with or without parameters."""
    shown = list(items)
    written = [_item(item, {}) if isinstance(item, str) else _item(*item) for item in shown[:_MOST_NAMED]]
    more = [f'"...";more={len(shown) - _MOST_NAMED}'] if len(shown) > _MOST_NAMED else []
    return ", ".join([*written, *more])


def _items(snapshot: Snapshot) -> Iterator[tuple[str, Mapping[str, str]]]:
    for source in snapshot.tables.get("model_sources") or ():
        if source.active and source.kind in TRAINING_KINDS:
            answer = snapshot.tables["source_answers"].get(source.id)
            if parameters := _parameters(answer):
                yield source.name, parameters


def _parameters(answer: Any) -> dict[str, str]:  # noqa: ANN401 (the row of a table that comes with discovery)
    """Say what is wrong with a source's last answer; nothing if nothing is."""
    if answer is None:
        return {"reason": "has not been asked yet"}
    if answer.state != "ok":
        since = {"since": answer.failing_since} if answer.failing_since else {}
        return {"reason": answer.error or "fails"} | since
    if answer.skipped:
        return {"reason": f"{len(answer.skipped)} entries could not be read, see /api/sources"}
    return {}


def _item(text: str, parameters: Mapping[str, str]) -> str:
    return _string(text) + "".join(f";{name}={_string(value)}" for name, value in parameters.items())


def _string(text: str) -> str:
    """Write a string of a structured field: printable ASCII, quotes and backslashes escaped."""
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    printable = "".join(letter if " " <= letter <= "~" else "?" for letter in cut)
    escaped = printable.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
