"""Sources as callers see them, with what they answered last; which are stale, and which may be edited. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, Field

from model_registry.catalog.views import View
from model_registry.entities.source import Source, SourceAnswer
from model_registry.errors import Conflict
from model_registry.snapshot.snapshot import Snapshot

Clock = Mapping[str, Any]
"""What moves with every question: asked_at, good_at, next_at, asking."""


class SkippedEntry(BaseModel):
    """An entry of an answer that is no model of the registry, and why."""

    name: str
    reason: str


class SourceView(Source):
    """The shape of `source_view`."""

    state: Literal["never", "ok", "failing"] = Field(description="`never`: it has not answered yet.")
    error: str | None = Field(description="Why the last answer was none.")
    failing_since: str | None
    last_good_at: str | None = Field(description="When it last answered. What it listed then is what is shown.")
    asked_at: str | None
    next_at: str | None = Field(description="When it is asked next.")
    asking: bool
    models: int = Field(description="Models that it listed in its last good answer.")
    counts: dict[str, int] = Field(description="What the last answer that differed did: created, changed, ...")
    skipped: list[SkippedEntry] = Field(description="Entries that could not be read or imported; the first hundred.")
    skipped_count: int
    passed_over: list[SkippedEntry] = Field(
        description="Entries that are no models for the registry; the first hundred. `counts` has the number of all."
    )


@dataclass(frozen=True, slots=True)
class StaleSource:
    """A source of which only its last good answer is known, or none."""

    name: str
    reason: str
    since: str | None
    """None: it has never answered."""


def source_view(snapshot: Snapshot, source: Source, clock: Clock | None = None) -> View:
    """A source with its last answer; with a clock, as of now."""
    answer = snapshot.source_answers.get(source.id)
    clock = clock or {}
    known = answer or SourceAnswer(id=source.id, state="never")
    return source.model_dump() | {
        "state": known.state,
        "error": known.error,
        "failing_since": known.failing_since,
        "last_good_at": clock.get("good_at") or known.last_good_at,
        "asked_at": clock.get("asked_at"),
        "next_at": clock.get("next_at") if source.active else None,
        "asking": bool(clock.get("asking")),
        "models": len(known.listed),
        "counts": {name: number for name, number in known.counts.items() if name != SKIPPED},
        "skipped": known.skipped,
        "skipped_count": known.counts.get(SKIPPED, 0),
        "passed_over": known.passed_over,
    }


SKIPPED = "skipped"
"""The count of all entries that were skipped, of which the row has only the first."""


def stale_sources(snapshot: Snapshot, kinds: Collection[str]) -> list[StaleSource]:
    """The active sources of these kinds that do not answer now: first those that count first."""
    stale = []
    for source in sorted(snapshot.sources, key=lambda source: (source.position, source.name)):
        if not source.active or source.kind not in kinds:
            continue
        answer = snapshot.source_answers.get(source.id)
        if answer is None:
            stale.append(StaleSource(source.name, "has not answered yet", None))
        elif answer.state == "failing":
            stale.append(StaleSource(source.name, answer.error or "does not answer", answer.last_good_at))
    return stale


def makers(_snapshot: Snapshot, source: Source) -> list[str]:
    """What else than people made the source: it cannot be deleted."""
    return [f"the environment variable {source.environment_variable}"] if source.environment_variable else []


def edited_source(source: Source, columns: dict[str, Any]) -> dict[str, Any]:
    """The same edit. Errors: Conflict, where people must not edit the source, or not its name."""
    if source.environment_variable is not None:
        message = (
            f"The source {source.name!r} comes from the environment variable {source.environment_variable} of the "
            "registry: change it there."
        )
        raise Conflict(message)
    if columns.get("name", source.name) != source.name:
        message = (
            f"A source keeps its name: the fields of models that it filled are marked with {source.name!r}. Make "
            "another source, then delete this one."
        )
        raise Conflict(message)
    return columns
