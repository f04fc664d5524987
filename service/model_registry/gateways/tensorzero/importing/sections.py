"""Plans the sections and files of a project as rows of its gateway. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from model_registry.entities.config import ConfigFile, ConfigSection
from model_registry.gateways.tensorzero.importing.registry_entries import AS_ONE, EMPTY, FILES, owners_in
from model_registry.gateways.tensorzero.importing.settling import BY_ENTRY, Settled
from model_registry.gateways.tensorzero.project import Table
from model_registry.imports.plan import Planner, WantedRow
from model_registry.imports.projects import Destination, Owners, read_owners, written_owners


def import_sections(settled: Settled, planner: Planner, into: Destination) -> None:
    """Plan every section: the project's entries, beside those of others."""
    for name, value in settled.project.sections.items():
        old = next(iter(planner.snapshot.sections.where("name", name)), None)
        whole = {**_staying(settled, old, value, planner), **value} if old else value
        new: Table = {} if old else {"name": name, "gateway": into.gateway}

        def marks(old: ConfigSection | None, name: str = name, value: Table = value, whole: Table = whole) -> Table:
            projects = dict(_projects(settled, name, value, whole, old))
            return {} if projects == (old.projects if old else {}) else {"projects": projects}

        planner.upsert(
            WantedRow("config_sections", "section", name, {**new, "value": whole}, (name,), marks=marks), old
        )


def _staying(settled: Settled, old: ConfigSection, value: Table, planner: Planner) -> Table:
    """Return the entries that stay although the project does not have them.

    Of settings only those of others, because a project says all of its settings at once.
    """
    if old.name == AS_ONE and any(section == AS_ONE for section, _ in settled.taken):
        return {}
    if old.name in BY_ENTRY and not planner.replace:
        return old.value
    return {name: item for name, item in old.value.items() if name in value or _stays(settled, old, name)}


def _stays(settled: Settled, old: ConfigSection, name: str) -> bool:
    owners = owners_in(old, name)
    if old.name in BY_ENTRY:
        return owners != settled.me
    return bool(owners - settled.me)


def _projects(
    settled: Settled, section: str, value: Table, whole: Table, old: ConfigSection | None
) -> Iterator[tuple[str, str]]:
    """Yield each entry of a section that belongs to projects."""
    for name in whole or (EMPTY,):
        before: Owners = owners_in(old, name) if old else frozenset()
        owners = settled.owners((section, name), before) if name in value else before
        owners |= settled.me if name == EMPTY else frozenset()
        if text := written_owners(owners):
            yield name, text


def import_files(settled: Settled, planner: Planner, into: Destination) -> None:
    """Plan every file."""
    for path, content in sorted(settled.project.files.items()):
        old = next(iter(planner.snapshot.files.where("path", path)), None)
        new = {} if old else {"path": path, "gateway": into.gateway}

        def marks(old: ConfigFile | None, path: str = path) -> dict[str, Any]:
            owners = settled.owners((FILES, path), read_owners(old.project if old else None))
            text = written_owners(owners)
            return {} if old and old.project == text else {"project": text}

        wanted = WantedRow(
            table="config_files",
            kind="file",
            name=path,
            values={**new, "content": content},
            summary=f"{len(content.encode())} bytes",
            shown=lambda column, value: f"{len(value)} characters" if column == "content" else value,
            marks=marks,
        )
        planner.upsert(wanted, old)
