"""Conflicts of an import: entries that another project says otherwise, in words for people and as reasons. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

from model_registry.errors import ConflictReason, ImportConflict
from model_registry.gateways.tensorzero.compare import Difference
from model_registry.gateways.tensorzero.importing.registry_entries import FILES, Key
from model_registry.gateways.tensorzero.project import dotted
from model_registry.imports.plan import short
from model_registry.imports.projects import NOBODY, Destination, Owners

_NAMED = 5
"""Most entries that a message names; the reasons have all."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """An entry that another project has, and that the imported one has otherwise."""

    key: Key
    owners: Owners
    """The other projects."""
    found: tuple[Difference, ...]
    """Each value that differs: the registry's, and the project's."""

    def __str__(self) -> str:
        """Say what differs, in one line."""
        first = self.found[0]
        more = f" (and {len(self.found) - 1} more)" if len(self.found) > 1 else ""
        here, there = short(first.other), short(first.one)
        return f"{first.where} {here} here, {there} of {_projects(self.owners)}{more}"


def shown(key: Key) -> str:
    """Return an entry as messages name it: a key of the configuration, or a path."""
    return key[1] if key[0] == FILES else dotted(key)


def refusal(conflicts: list[Conflict], into: Destination) -> ImportConflict:
    """Return the error that refuses an import for these conflicts, with what to do."""
    names = ", ".join(shown(conflict.key) for conflict in conflicts[:_NAMED])
    names += ", ..." if len(conflicts) > _NAMED else ""
    owners = NOBODY.union(*(conflict.owners for conflict in conflicts))
    whose = f"the project {into.project}" if into.project else "this project"
    count = f"{len(conflicts)} entries" if len(conflicts) > 1 else "One entry"
    message = (
        f"{count} of {whose} would change what {_projects(owners)} has in the gateway {into.gateway}: {names}. "
        f"{_advice(into, min(owners))}"
    )
    return ImportConflict(message, reasons=[reason for conflict in conflicts for reason in _reasons(conflict)])


def _reasons(conflict: Conflict) -> list[ConflictReason]:
    return [
        ConflictReason(
            difference.where,
            f"is {short(difference.one)} in {_projects(conflict.owners)}, and {short(difference.other)} in this one",
            json.dumps(difference.one, ensure_ascii=False),
            json.dumps(difference.other, ensure_ascii=False),
        )
        for difference in conflict.found
    ]


def _projects(owners: Owners) -> str:
    return f"the project{'s' if len(owners) > 1 else ''} {', '.join(sorted(owners))}"


def _advice(into: Destination, owner: str) -> str:
    if into.on_conflict == "rename":
        return (
            "They cannot have other names, because templates include files by their paths: rename them in the project, "
            "choose --on-conflict keep or overwrite, or import into a gateway of its own with --gateway NAME."
        )
    if into.on_conflict == "keep":
        return "What is switched off cannot be used: activate it, or choose --on-conflict rename or overwrite."
    return (
        "Choose --on-conflict rename, overwrite or keep (over HTTP on_conflict); or import into a gateway of its own "
        "with --gateway NAME, where only models have to agree; or, where it is the same project, with "
        f"--project {owner}."
    )
