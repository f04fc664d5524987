"""Refuses writes whose configuration the gateway would refuse or misread; called before every write.

The rules are in the other files; here are the entries that a write affects, and their faults before and after.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial

from model_registry.entities.base import Row
from model_registry.entities.change import Operation
from model_registry.entities.config import ConfigFile, ConfigSection
from model_registry.entities.model import Model
from model_registry.errors import InvalidConfiguration, Reason
from model_registry.gateways.tensorzero.own_content import is_own_section, own_sections
from model_registry.gateways.tensorzero.project import MODELLED, Table, project_path_problem
from model_registry.gateways.tensorzero.rendering.function_tables import function_entry
from model_registry.gateways.tensorzero.rendering.provider_tables import plain
from model_registry.gateways.tensorzero.rendering.render import CONFIGURATION_TABLES, Affected, FunctionKey
from model_registry.gateways.tensorzero.rendering.routed_models import ModelEntry, model_entry
from model_registry.gateways.tensorzero.rules import check_configuration
from model_registry.gateways.tensorzero.rules.row_columns import column_faults
from model_registry.gateways.tensorzero.rules.shape import Surroundings, refused
from model_registry.snapshot.snapshot import Snapshot

TABLES = CONFIGURATION_TABLES | {"config_files"}
"""The tables that a project is made of, but for the nodes of its routes."""
_REMEMBERED = 1000
"""Models whose entries are kept during one check: a write may affect all of them."""
_KINDS = {"model": "models", "alias": "aliases", "variant": "variants"}


def refuse_bad_configuration(before: Snapshot, operations: Sequence[Operation]) -> None:
    """Refuse a write that would break the configuration. The cost depends on the affected entries, not on the registry.

    Existing faults do not block a write: a configuration can be repaired in steps.

    Raises:
        InvalidConfiguration: with a reason for each new fault.
    """
    if operations := relevant_operations(before, operations):
        refuse_new_faults(before, before.preview(operations), operations)


def refuse_new_faults(before: Snapshot, after: Snapshot, operations: Sequence[Operation]) -> None:
    """As `refuse_bad_configuration`, for what a gateway carries of the registry before and after the write.

    `operations` are those that `relevant_operations` returns.
    """
    states = _Version(before), _Version(after)
    affected = _affected(*states, operations)
    reasons = dict.fromkeys(_faults(states[1], operations, affected))
    if reasons:
        for known in _faults(states[0], operations, affected):
            reasons.pop(known, None)
    if reasons:
        distinct = list(_without_echoes(reasons))
        more = f" (and {len(distinct) - 1} more)" if len(distinct) > 1 else ""
        raise InvalidConfiguration(f"{distinct[0]}{more}", reasons=distinct)


def relevant_operations(before: Snapshot, operations: Sequence[Operation]) -> list[Operation]:
    """Return the operations that concern a configuration.

    New models that are not active and have no fault of their own are left out: nothing is rendered from them. Only
    where a write has no rows that may refer to them.
    """
    operations = [operation for operation in operations if operation.table in TABLES]
    times = Counter(operation.id for operation in operations)
    new = {o.id: o for o in operations if _is_inactive_model(o) and times[o.id] == 1 and not before.models.get(o.id)}
    if not new or any(operation.table not in {"models", "model_providers"} for operation in operations):
        return operations
    state = _Version(before.preview(o for o in operations if o.table == "model_providers"))
    bad = {
        row_id
        for row_id, operation in new.items()
        if any(column_faults(state.snapshot, Model.read({**(operation.row or {}), "id": row_id}), state.around))
    }
    return [operation for operation in operations if operation.id not in new or operation.id in bad]


def _is_inactive_model(operation: Operation) -> bool:
    is_new = operation.table == "models" and operation.action == "insert"
    return is_new and (operation.row or {}).get("active") is False


class _Version:
    """The registry before or after the write. A model is rendered once, however often rules look it up."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.entry = entry = lru_cache(_REMEMBERED)(partial(model_entry, snapshot))

        def finder(section: str) -> Callable[[str], Table | None]:
            return lambda name: next((table for where, _, table in entry(name).tables if where == section), None)

        def has_function(name: str) -> bool:
            return any(function_entry(snapshot, row).tables for row in snapshot.functions.where("name", name))

        sections = {section.name: section.value for section in own_sections(snapshot)}
        self.around = Surroundings(finder("models"), finder("embedding_models"), has_function, sections)

    def check(self, tree: Table) -> list[Reason]:
        """Apply the rules to a part of the configuration."""
        files = self.snapshot.files
        return check_configuration(tree, self.around, lambda path: bool(files.where("path", posixpath.normpath(path))))


def _rows(snapshot: Snapshot, operations: Iterable[Operation]) -> list[Row]:
    rows = (snapshot.tables[operation.table].get(operation.id) for operation in operations)
    return [row for row in rows if row is not None]


def _affected(before: _Version, after: _Version, operations: Sequence[Operation]) -> Affected:
    affected = Affected()
    for state in (before, after):
        affected.add(state.snapshot, _rows(state.snapshot, operations))
    if any(operation.table.startswith("config_") for operation in operations):
        # Tools, files and the limit of timeouts affect everything, and are rarely written.
        affected.functions.update((f.service_name, f.function_name) for f in after.snapshot.functions)
        affected.names.update(str(name) for name in after.snapshot.models.keys("name"))
    elif gone := {name for name in affected.names if (was := _standing(before, name)) and was - _standing(after, name)}:
        affected.functions.update(_functions_that_name(after.snapshot, gone))
    return affected


def _standing(state: _Version, name: str) -> set[tuple[str, str]]:
    """Return the sections and namespaces of a name, on which functions rely."""
    return {(section, str(table.get("namespace"))) for section, _, table in state.entry(name).tables}


def _functions_that_name(snapshot: Snapshot, names: set[str]) -> Iterator[FunctionKey]:
    """Yield functions that name a model in their extra keys, which no index covers. For removed or moved names only."""
    for row in (*snapshot.functions, *snapshot.mappings):
        if row.tensorzero and not names.isdisjoint(_strings(row.tensorzero)):
            yield row.service_name, row.function_name


def _strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for item in value.values():
                yield from _strings(item)
        case list():
            for item in value:
                yield from _strings(item)


def _faults(state: _Version, operations: Sequence[Operation], affected: Affected) -> Iterator[Reason]:
    snapshot = state.snapshot
    rows = {(type(row), row.id): row for row in _rows(snapshot, operations)}
    for name in affected.names:
        rows |= {(Model, model.id): model for model in snapshot.models.where("name", name)}
    if any(operation.table == "config_files" for operation in operations):
        # Sections reference files too: parameters of tools, programs of evaluators.
        rows |= {(ConfigSection, section.id): section for section in own_sections(snapshot)}
    elif affected.functions:
        rows |= {(ConfigSection, row.id): row for row in snapshot.sections.where("name", "evaluations")}
    for row in rows.values():
        yield from column_faults(snapshot, row, state.around)
        if isinstance(row, ConfigFile) and (problem := project_path_problem(row.path)):
            yield refused(("config_files", row.path), problem)
        if isinstance(row, ConfigSection) and is_own_section(snapshot, row):
            yield from _section_faults(state, row)
    for name in sorted(affected.names):
        yield from _entry_faults(state, state.entry(name))
    for key in sorted(affected.functions):
        for function in snapshot.functions.where("key", key):
            yield from _entry_faults(state, function_entry(snapshot, function))


def _entry_faults(state: _Version, entry: ModelEntry) -> Iterator[Reason]:
    for section, key, table in entry.tables:
        yield from state.check({section: {key: table}})
    for fault in entry.faults:
        yield refused((_KINDS[fault.kind], fault.name), f"{fault.reason}; change one of them")


def _section_faults(state: _Version, row: ConfigSection) -> Iterator[Reason]:
    if row.name in MODELLED:
        yield refused((row.name,), "the registry holds this as rows of its own; write those")
    else:
        yield from state.check({row.name: plain(row.value)})


def _without_echoes(reasons: Iterable[Reason]) -> Iterator[Reason]:
    """Drop repetitions: a column's fault recurs in each table made from it."""
    columns = set()
    for reason in reasons:
        last = reason.where.rpartition(".")[2]
        if ".tensorzero." in reason.where:
            columns.add(last)
        elif last in columns:
            continue
        yield reason
