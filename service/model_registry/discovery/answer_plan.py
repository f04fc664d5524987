"""Plans what an answer of a source writes: the models it lists, those it lists no more, and its own row. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from model_registry.catalog.sources import SKIPPED
from model_registry.entities.change import Operation
from model_registry.entities.model import Model
from model_registry.entities.model_name import name_key
from model_registry.entities.offer import PassedOver, SourceContent
from model_registry.entities.secret_text import mask_secrets, masked_beginning
from model_registry.entities.source import MOST_SKIPPED, Source, SourceAnswer, SourceOptions
from model_registry.errors import RegistryError
from model_registry.imports.offers import Fault, plan_offers
from model_registry.imports.plan import ImportPlan, ReportEntry
from model_registry.snapshot.snapshot import Snapshot

_LONGEST_TEXT = 500
BEGUN = "its answer is being written in parts: not all of its models are there yet"
"""What a source says meanwhile, and for good if the rest cannot be written."""
Key = tuple[str, ...]
"""Something that two plans must not both write."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a source answered to one asking."""

    source: Source
    question: str
    """What was asked: `etag`, `last_modified` and `digest` hold for it alone."""
    content: SourceContent | None = None
    """None: it failed, or nothing has changed."""
    error: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    digest: str | None = None
    same: frozenset[str] = frozenset()
    """What its provider calls those models that the last answer listed with the same facts: their rows have them."""
    good_at: str | None = None
    """When it last answered, before this."""


@dataclass(frozen=True, slots=True)
class AnswerPlan:
    """What an answer writes, and the report for people."""

    answer: Answer
    operations: tuple[Operation, ...] = ()
    report: tuple[ReportEntry, ...] = ()
    keys: frozenset[Key] = frozenset()
    missing: tuple[str, ...] = ()
    """The models that are marked because no source lists them any more."""


@dataclass(frozen=True, slots=True)
class AnswerPlanner:
    """Plans answers on one snapshot."""

    snapshot: Snapshot
    moment: str
    new_id: Callable[[], str]
    fault: Fault
    most_operations: int
    """Of one write: what takes several says so until the last."""

    def plan(self, answer: Answer) -> AnswerPlan:
        """Plan one answer. Errors: those of `plan_offers`."""
        old = self.snapshot.source_answers.get(answer.source.id)
        if self.snapshot.sources.get(answer.source.id) is None:
            return AnswerPlan(answer)  # deleted meanwhile
        if answer.error is not None:
            return AnswerPlan(answer, self._kept(answer, old, self._failed(answer, old)))
        if answer.content is None:
            return AnswerPlan(answer, self._kept(answer, old, self._unchanged(answer, old)))
        return self._plan_content(answer, answer.content, old)

    def _plan_content(self, answer: Answer, content: SourceContent, old: SourceAnswer | None) -> AnswerPlan:
        options = SourceOptions.model_validate(answer.source.options)
        made = self._imported(answer, content, options)
        skipped = _skipped(content, made)
        listed = {*made.kept, *self._still_listed(answer, old)}
        missing = self._missing(old, listed, {name_key(name) for name, _ in skipped})
        marked = [_update(row, {"missing_since": self.moment}) for row in missing]
        operations = (*self._back(made, listed), *marked)
        done = Counter(entry.action for entry in made.report if entry.kind == "model")
        counts: dict[str, int] = {action: done[action] for action in ("created", "changed", "unchanged")}
        counts |= {SKIPPED: len(skipped), "passed_over": len(content.passed_over), "missing": len(missing)}
        columns = {
            **self._good(answer),
            "digest": answer.digest,
            "counts": counts,
            "skipped": [{"name": name, "reason": reason} for name, reason in skipped[:MOST_SKIPPED]],
            "passed_over": [
                {"name": _shown(passed.name), "reason": _shown(passed.reason)}
                for passed in content.passed_over[:MOST_SKIPPED]
            ],
            "listed": sorted(listed),
        }
        if not operations and old is not None and columns | {"counts": old.counts} == _content_of(old, columns):
            columns["counts"] = old.counts  # of the last answer that did something
        report = (*made.report, *(ReportEntry("skipped", "model", p.name, p.reason) for p in _unread(content)))
        report += tuple(ReportEntry("changed", "model", row.model_id, "no longer listed") for row in missing)
        if len(operations) >= self.most_operations:
            begun = self._begun(answer, old, listed)
            ended = Operation("source_answers", "update", answer.source.id, columns | {"last_good_at": self.moment})
            operations = (begun, *operations, ended)
        else:
            operations = (*operations, *self._kept(answer, old, columns))
        gone = tuple(row.model_id for row in missing)
        return AnswerPlan(answer, operations, report, frozenset(_keys(made.operations)), gone)

    def _begun(self, answer: Answer, old: SourceAnswer | None, listed: set[str]) -> Operation:
        """Return what comes first where one write cannot hold an answer. Should this break off, the next is read whole.

        What is written of it counts as listed: it is marked, should the source list it no more by then.
        """
        row = self._failed(replace(answer, error=BEGUN), old) | {"question": None}
        row["listed"] = sorted(listed.union(old.listed if old else ()))
        return Operation("source_answers", "update" if old else "insert", answer.source.id, row)

    def _still_listed(self, answer: Answer, old: SourceAnswer | None) -> Iterable[str]:
        """Yield the ids of the models that were listed and need not be looked at."""
        same = set(map(name_key, answer.same))
        rows = (self.snapshot.models.get(row_id) for row_id in (old.listed if old and same else ()))
        return (row.id for row in rows if row is not None and name_key(row.model_id) in same)

    def _imported(self, answer: Answer, content: SourceContent, options: SourceOptions) -> ImportPlan:
        """Plan the offers; the source's name stands for what it fills."""
        source = answer.source
        return plan_offers(
            self.snapshot,
            [offer for offer in content.offers if offer.model_id not in answer.same],
            source.name,
            self.new_id,
            fault=self.fault,
            only_existing=options.only_existing,
            activate=options.activate,
            spelled_by_hub=source.kind == "huggingface",
        )

    def _missing(self, old: SourceAnswer | None, listed: set[str], unclear: set[str]) -> list[Model]:
        """Find the models that were listed and are no more, by any source; not those that could not be read."""
        gone = [row_id for row_id in (old.listed if old else ()) if row_id not in listed]
        if not gone:
            return []
        others = {i for answer in self.snapshot.source_answers if old and answer.id != old.id for i in answer.listed}
        rows = (self.snapshot.models.get(row_id) for row_id in gone if row_id not in others)
        return [r for r in rows if r and r.missing_since is None and name_key(r.model_id) not in unclear]

    def _back(self, made: ImportPlan, listed: set[str]) -> list[Operation]:
        """Return the import's operations, with models that are back no longer marked."""
        rows = (self.snapshot.models.get(row_id) for row_id in listed)
        back = {row.id: row for row in rows if row is not None and row.missing_since is not None}
        operations = [
            replace(o, row={**(o.row or {}), "missing_since": None}) if back.pop(o.id, None) else o
            for o in made.operations
        ]
        return operations + [_update(row, {"missing_since": None}) for row in back.values()]

    def _failed(self, answer: Answer, old: SourceAnswer | None) -> dict[str, Any]:
        error = masked_beginning(answer.error or "", _LONGEST_TEXT)[0]
        if old and old.state == "failing":
            since, last = old.failing_since, old.last_good_at
        else:
            since, last = self.moment, answer.good_at or (old.last_good_at if old else None)
        return {"state": "failing", "error": error, "failing_since": since, "last_good_at": last}

    def _good(self, answer: Answer) -> dict[str, Any]:
        return {
            "state": "ok",
            "error": None,
            "failing_since": None,
            "question": answer.question,
            "etag": answer.etag,
            "last_modified": answer.last_modified,
        }

    def _unchanged(self, answer: Answer, old: SourceAnswer | None) -> dict[str, Any]:
        """The answer is the one that the row is of; only how it is, and was asked, may have changed."""
        known = {"etag": old.etag, "last_modified": old.last_modified} if old else {}
        return self._good(answer) | known

    def _kept(self, answer: Answer, old: SourceAnswer | None, columns: dict[str, Any]) -> tuple[Operation, ...]:
        """Return the write of the answer's own row, if there is anything to write."""
        if old is None:
            row = {"last_good_at": None if answer.error else self.moment} | columns
            return (Operation("source_answers", "insert", answer.source.id, row),)
        if _content_of(old, columns) == columns:
            return ()
        if answer.error is None:
            columns["last_good_at"] = self.moment
        return (Operation("source_answers", "update", old.id, columns),)


def together(plans: Iterable[AnswerPlan]) -> tuple[list[AnswerPlan], list[AnswerPlan]]:
    """Divide plans on one snapshot into those that one write can hold, and those that others must come before."""
    now: list[AnswerPlan] = []
    later: list[AnswerPlan] = []
    taken: set[Key] = set()
    for plan in plans:
        if taken.isdisjoint(plan.keys):
            taken |= plan.keys
            now.append(plan)
        else:
            later.append(plan)
    return now, later


def failure(answer: Answer, error: RegistryError, *, partly: bool = False) -> Answer:
    """The answer as one that cannot be imported, or of which only a part was."""
    what = "only a part of its answer is imported" if partly else "its answer cannot be imported"
    return replace(answer, content=None, error=f"{what}: {error.message}")


def _keys(operations: Sequence[Operation]) -> Iterable[Key]:
    """Yield what operations write: rows, names of new ones at their providers, and names and addresses of providers."""
    for operation in operations:
        row = operation.row or {}
        if operation.action != "insert":
            yield operation.table, operation.id
        elif operation.table == "models":
            yield "model", row["provider_id"], row["name"]
            yield "model_id", row["provider_id"], name_key(row["model_id"])
        else:
            yield "provider", row["name"]
            yield "address", str(row.get("api_base"))


def _skipped(content: SourceContent, made: ImportPlan) -> list[tuple[str, str]]:
    entries = [(p.name, p.reason) for p in _unread(content)]
    entries += [(_shown(e.name), _shown(e.detail)) for e in made.report if e.action == "skipped"]
    return entries


def _unread(content: SourceContent) -> list[PassedOver]:
    return [PassedOver(_shown(p.name), _shown(p.reason)) for p in content.unread]


def _shown(text: str) -> str:
    """Return a text of a source's, fit to be shown: it may be anything."""
    return mask_secrets("".join(c if c.isprintable() else "?" for c in text[:_LONGEST_TEXT]), eager=False)


def _update(row: Model, columns: dict[str, Any]) -> Operation:
    return Operation("models", "update", row.id, columns, row.version)


def _content_of(old: SourceAnswer, columns: dict[str, Any]) -> dict[str, Any]:
    return {name: getattr(old, name) for name in columns}
