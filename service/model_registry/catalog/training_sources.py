"""What a list of models lacks because a source fails: for the header `X-Registry-Partial`. Pure.

The header is a list of strings with parameters as RFC 9651 writes them, so that programs can parse it:
`"timm";reason="it cannot be reached";since="2026-11-30T08:00:00+00:00"`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from model_registry.catalog.sources import SKIPPED, stale_sources
from model_registry.snapshot.snapshot import Snapshot

PARTIAL_TABLES = ("model_sources", "source_answers")
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
    for stale in stale_sources(snapshot, TRAINING_KINDS):
        yield stale.name, {"reason": stale.reason} | ({"since": stale.since} if stale.since else {})
    for source in snapshot.sources:
        answer = snapshot.source_answers.get(source.id)
        if source.active and source.kind in TRAINING_KINDS and answer is not None and answer.state == "ok":
            count = answer.counts.get(SKIPPED, 0)
            if count:
                yield source.name, {"reason": f"{count} of its entries are left out, see /api/sources/{source.name}"}


def _item(text: str, parameters: Mapping[str, str]) -> str:
    return _string(text) + "".join(f";{name}={_string(value)}" for name, value in parameters.items())


def _string(text: str) -> str:
    """Write a string of a structured field: printable ASCII, quotes and backslashes escaped."""
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    printable = "".join(letter if " " <= letter <= "~" else "?" for letter in cut)
    escaped = printable.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
