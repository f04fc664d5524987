"""Settles what a project shares with others before its import is planned: what is alike, and what says something else.

What another project has in the same words belongs to both, and is not planned again. What says something else is a
conflict: refused with both sides, or renamed, overwritten or kept. What is left is the project's own to change. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from model_registry.gateways.tensorzero.compare import Difference, differences, meaning
from model_registry.gateways.tensorzero.importing.conflicts import Conflict, refusal, shown
from model_registry.gateways.tensorzero.importing.default_keys import default_key_conflicts
from model_registry.gateways.tensorzero.importing.registry_entries import AS_ONE, FILES, Key, RegistryEntries
from model_registry.gateways.tensorzero.importing.renaming import renamed
from model_registry.gateways.tensorzero.project import (
    BASE_PATH,
    MODEL_TABLES,
    MODELLED,
    Project,
    Table,
    as_table,
    below,
    dotted,
)
from model_registry.gateways.tensorzero.reading.file_references import file_references
from model_registry.imports.plan import Action
from model_registry.imports.projects import DEFAULT_PROJECT, NOBODY, Destination, Owners
from model_registry.snapshot.difference import same

BY_ENTRY = frozenset({"metrics", "tools", "evaluations", "optimizers", "provider_types"})
"""Sections whose entries have names of their own: the registry's other entries stay."""
_RENAMED = (BY_ENTRY - {"provider_types"}) | MODELLED | {FILES}
"""Sections whose entries may have other names. Settings have not: they stay as they are, which the report says."""
_ACCESS: Key = (BASE_PATH[0], BASE_PATH[1])
"""The directory that templates include files from: they would find others in another."""


@dataclass(slots=True)
class Settled:
    """What an import may write, and whose the rest is."""

    project: Project
    """What is left to plan, under the names that it gets."""
    whole: Project
    """All of it, with what others have too."""
    me: Owners = NOBODY
    shared: set[Key] = field(default_factory=set)
    """Entries that others have alike."""
    kept: set[Key] = field(default_factory=set)
    """Entries of others that say something else, and stay."""
    taken: set[Key] = field(default_factory=set)
    """Entries of others that become as this project has them."""
    notes: list[tuple[Action, str, str]] = field(default_factory=list)
    """For the report: the action, the entry, and what differs."""

    def owners(self, key: Key, before: Owners) -> Owners:
        """Return whose an entry is after the import."""
        if key in self.kept:
            return before
        return before | self.me if key in self.shared else self.me


def settle(project: Project, registry: RegistryEntries, into: Destination) -> Settled:
    """Settle what a project shares with others.

    Raises:
        ImportConflict: with each value that another project has otherwise, unless the destination says what is done.
    """
    settled = Settled(project, project, into.me)
    while conflicts := _conflicts(settled, registry):
        if into.on_conflict is None:
            raise refusal(conflicts, into)
        names = _decided(conflicts, settled, registry, into)
        if unsolved := [conflict for conflict in conflicts if _is_unsolved(conflict.key, settled, registry, into)]:
            raise refusal(unsolved, into)
        # What refers to another name now says something else, perhaps.
        settled.project = renamed(settled.project, names)
    settled.whole, settled.project = settled.project, _left(settled, registry)
    return settled


def _decided(
    conflicts: list[Conflict], settled: Settled, registry: RegistryEntries, into: Destination
) -> dict[Key, str]:
    """Note what becomes of each conflict. Return the new names."""
    names: dict[Key, str] = {}
    for conflict in conflicts:
        section, name = conflict.key
        # A default that the project does not say cannot take the place of one.
        says_nothing = section == "provider_types" and name not in settled.project.table(section)
        action: Action = "kept"
        words = str(conflict)
        if into.on_conflict == "overwrite" and not says_nothing:
            action = "overwritten"
            settled.taken.add(conflict.key)
        elif into.on_conflict == "rename" and section in _RENAMED:
            action = "renamed"
            names[conflict.key] = _free_name(conflict.key, settled.project, registry, into)
            words = f"now {shown((section, names[conflict.key]))}: {conflict}"
        else:
            settled.kept.add(conflict.key)
        settled.notes.append((action, shown(conflict.key), words))
    return names


def _conflicts(settled: Settled, registry: RegistryEntries) -> list[Conflict]:
    """Find the entries of others that differ, and note those that are alike."""
    mine, done = settled.project, settled.kept | settled.taken
    others = {
        key: owners - settled.me
        for key in _keys(mine, registry)
        if key not in done and (owners := registry.owners(key)) - settled.me
    }
    there = {key: registry.entry(key) for key in others}
    found: dict[Key, list[Difference]] = {key: [] for key in others}
    for difference, key in _compared(mine, there, registry):
        found[key].append(difference)
    settled.shared = {key for key, list_ in found.items() if not list_}
    conflicts = [Conflict(key, others[key], tuple(list_)) for key, list_ in found.items() if list_]
    defaults = default_key_conflicts(mine, registry, settled.me)
    return conflicts + [conflict for conflict in defaults if conflict.key not in done]


def _keys(project: Project, registry: RegistryEntries) -> Iterator[Key]:
    for section, table in project.tree.items():
        yield from ((section, name) for name in table)
        row = registry.section(section) if section == AS_ONE else None
        yield from ((section, name) for name in (row.value if row else ()) if name not in table)
    yield from ((FILES, path) for path in project.files)


def _compared(project: Project, there: dict[Key, Any], registry: RegistryEntries) -> Iterator[tuple[Difference, Key]]:
    """Yield what differs in the meaning of these entries; of files, settings and what is not rendered, as it is."""
    ours, theirs = _types(project.tree), _types(_stored_types(registry))
    for (section, name), value in there.items():
        own = project.files.get(name) if section == FILES else project.tree[section].get(name)
        if section == FILES or (section, name) == _ACCESS or value is None or own is None:
            if not same(value, own):
                where = name if section == FILES else dotted((section, name))
                yield Difference(where, value, own), (section, name)
            continue
        ours.setdefault(section, {})[name] = own
        theirs.setdefault(section, {})[name] = _as_asked(section, value, own)
    one, other = (
        meaning(theirs, {row.path: row.content for row in registry.content.files}),
        meaning(ours, project.files),
    )
    for section, name in there:
        sides = [as_table(tree.get(section)).get(name) for tree in (one, other)]
        for difference in differences((section, name), *sides):
            if name in ours.get(section, {}):
                yield difference, (section, name)


def _types(tree: Table) -> Table:
    """Start a tree with the defaults of credentials, which give models their meaning."""
    return {"provider_types": dict(tree["provider_types"])} if "provider_types" in tree else {}


def _stored_types(registry: RegistryEntries) -> Table:
    row = registry.section("provider_types")
    return {"provider_types": dict(row.value)} if row else {}


def _as_asked(section: str, value: Any, own: Any) -> Any:  # noqa: ANN401 (any TOML value)
    """Leave out the description of a function that the project does not describe."""
    silent = section == "functions" and "description" not in own
    return {key: item for key, item in value.items() if key != "description"} if silent else value


def _left(settled: Settled, registry: RegistryEntries) -> Project:
    """Return what is left to plan: of sections and files that stay the registry's own values, of the rest nothing."""
    project, staying = settled.project, settled.shared | settled.kept
    tree: Table = {}
    for section, table in project.tree.items():
        if section in MODELLED:
            tree[section] = {name: value for name, value in table.items() if (section, name) not in staying}
        else:
            stay = {name: registry.entry((section, name)) for own, name in staying if own == section}
            own = {name: value for name, value in table.items() if name not in stay}
            tree[section] = own | {name: value for name, value in stay.items() if value is not None}
    used = _used_files(project, settled.kept)
    files = {
        path: registry.entry((FILES, path)) if (FILES, path) in staying else content
        for path, content in project.files.items()
        if path in used
    }
    return replace(project, tree=tree, files=files)


def _used_files(project: Project, kept: set[Key]) -> set[str]:
    """Return the files that what is not kept refers to."""
    used: set[str] = set()
    for path, value in file_references(project.tree):
        if path == BASE_PATH:
            used |= set(below(project.files, value))
        elif (path[0], path[1]) not in kept:
            used.add(value)
    return used


def _free_name(key: Key, project: Project, registry: RegistryEntries, into: Destination) -> str:
    """Return a name that no other project and no person has: the same one every time."""
    section, name = key
    stem = f"{into.project or DEFAULT_PROJECT}{'/' if section == FILES else '_'}{name}"
    number, new = 1, stem
    while not _is_free((section, new), project, registry, into):
        number += 1
        new = f"{into.project or DEFAULT_PROJECT}-{number}{'/' if section == FILES else '_'}{name}"
    return new


def _is_free(key: Key, project: Project, registry: RegistryEntries, into: Destination) -> bool:
    section, name = key
    if name in (project.files if section == FILES else project.tree[section]):
        return False
    if section in MODEL_TABLES:
        rows = registry.content.models.where("name", name)
        aliased = registry.content.aliases.where("alias", name)
        return not aliased and all(registry.owners_of_model(row) == into.me != NOBODY for row in rows)
    row = registry.section(section)
    there = {
        "functions": registry.function(name) is not None,
        FILES: registry.file(name) is not None,
    }.get(section, row is not None and name in row.value)
    return not there or (into.me != NOBODY and registry.owners(key) == into.me)


def _is_unsolved(key: Key, settled: Settled, registry: RegistryEntries, into: Destination) -> bool:
    """Whether the chosen way does not solve a conflict: of what templates include by its path, or is switched off."""
    if into.on_conflict == "keep":
        return key[0] in MODELLED and registry.entry(key) is None
    if into.on_conflict == "rename":
        base = as_table(settled.project.table(_ACCESS[0]).get(_ACCESS[1])).get(BASE_PATH[2])
        included = below(settled.project.files, base) if isinstance(base, str) else []
        return key == _ACCESS or (key[0] == FILES and key[1] in included)
    return False
