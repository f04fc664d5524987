"""Plans the removal of what the registry has of a project, and the project has no more. Pure.

Only what would be rendered goes, and only what is the project's alone. What is not the gateway's business (other types
of models and their mappings, rows that are switched off, aliases of other contexts) stays, and so does everything the
catalogue knows of models that stay. An import without a project removes what is nobody's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from model_registry.entities.config import ConfigFile, ConfigSection
from model_registry.entities.function import Function, FunctionDraft, Mapping, MappingDraft
from model_registry.entities.model import GATEWAY_CONTEXTS, Alias, Model, ModelDraft
from model_registry.gateways.tensorzero.importing.functions import move_mapping
from model_registry.gateways.tensorzero.importing.registry_entries import EMPTY, RegistryEntries, owners_in
from model_registry.gateways.tensorzero.importing.settling import Settled
from model_registry.gateways.tensorzero.project import Table
from model_registry.gateways.tensorzero.rendering.function_tables import own_variants, why_mapping_left_out
from model_registry.gateways.tensorzero.rendering.provider_tables import section_of, why_left_out
from model_registry.imports.plan import Planner, WantedRow
from model_registry.imports.projects import Destination, model_marks, read_owners, written_owners
from model_registry.snapshot.snapshot import Snapshot

_WHY = "the project does not have it"


def remove_the_rest(settled: Settled, planner: Planner, whole: Snapshot, into: Destination) -> None:
    """Plan the removal of what the registry would render of this project's, and the project does not have."""
    after = planner.snapshot.preview(planner.operations)
    here = _Removal(settled, planner, after, whole.preview(planner.operations), into)
    here.remove_mappings()
    here.remove_functions()
    here.remove_models()
    here.remove_sections()
    here.remove_files()


@dataclass(slots=True)
class _Removal:
    """One removal."""

    settled: Settled
    planner: Planner
    after: Snapshot
    """The registry with the project, and the content of its gateway."""
    whole: Snapshot
    """The same with what belongs to other gateways."""
    into: Destination
    staying: list[Mapping] = field(default_factory=list)
    """The mappings of the gateway's own functions that stay."""

    def is_ours(self, function: Function) -> bool:
        """Whether a function is the project's alone."""
        return read_owners(function.project) == self.settled.me

    def remove_mappings(self) -> None:
        """Plan the removal of variants of the project's functions."""
        for mapping in self.after.mappings:
            (function,) = self.after.functions.where("key", (mapping.service_name, mapping.function_name))
            name = f"{function.name}.{mapping.variant_name}"
            stand_in = mapping.fallback_model_id
            if not self.is_ours(function):
                continue
            if mapping.id in self.planner.kept:
                self.staying.append(mapping)
            elif why_mapping_left_out(self.after, mapping.model_id) is None:
                self.planner.delete("service_model_mappings", mapping, "variant", name, _WHY)
            elif stand_in and why_mapping_left_out(self.after, stand_in) is None:
                wanted = WantedRow(
                    "service_model_mappings", "variant", name, {"fallback_model_id": None}, draft=MappingDraft
                )
                self.planner.upsert(wanted, mapping)
                self.staying.append(mapping.model_copy(update={"fallback_model_id": None}))
            else:
                self.staying.append(mapping)

    def remove_functions(self) -> None:
        """Plan the removal of the project's functions, and of its name from those of others."""
        used = {(mapping.service_name, mapping.function_name) for mapping in self.staying}
        for function in self.after.functions:
            if function.id in self.planner.kept or not _is_rendered(self.after, function):
                continue
            if not self.is_ours(function):
                if text := self._left_to(read_owners(function.project)):
                    self._leave("functions", "function", function.name, function, {"project": text})
            elif (function.service_name, function.function_name) not in used:
                self.planner.delete("functions", function, "function", function.name, _WHY)
            elif own_variants(function):
                kept = {k: v for k, v in function.tensorzero.items() if k not in {"variants", "experimentation"}}
                wanted = WantedRow("functions", "function", function.name, {"tensorzero": kept}, draft=FunctionDraft)
                self.planner.upsert(wanted, function)

    def remove_models(self) -> None:
        """Plan the removal of the project's models, as far as nobody else uses them."""
        here = RegistryEntries(self.after, self.into.gateway)
        others = {model for mapping in self._others() for model in (mapping.model_id, mapping.fallback_model_id)}
        gone = []
        for row in self.after.models:
            owners = here.owners_of_model(row)
            if row.id in self.planner.kept or why_left_out(row, self.after.providers.get(row.provider_id)):
                continue
            if owners == self.settled.me and (row.id not in others or self._follow(row)):
                gone.append(row)
            elif self._left_to(owners):
                marks = model_marks(row, owners - self.settled.me, self.into.gateway)
                self._leave("models", "model", _shown(self.after, row), row, marks)
        referred = {model for mapping in self.staying for model in (mapping.model_id, mapping.fallback_model_id)}
        deleted = {row.id for row in gone if row.id not in referred}
        for alias in self.after.aliases:
            if alias.model_id in deleted or self._is_gone(alias):
                self.planner.delete("model_aliases", alias, "alias", alias.alias, _WHY)
        self._delete_models(gone, deleted)

    def _others(self) -> Iterator[Mapping]:
        """Iterate over the mappings of functions that are not the project's alone: also of other gateways."""
        for mapping in self.whole.mappings:
            (function,) = self.whole.functions.where("key", (mapping.service_name, mapping.function_name))
            if function.gateway != self.into.gateway or not self.is_ours(function):
                yield mapping

    def _follow(self, row: Model) -> bool:
        """Let the mappings of others follow to a row that the project has of the same model. False: there is none."""
        rows = [other for other in self.after.models.where("name", row.name) if section_of(other) == section_of(row)]
        kept = [other for other in rows if other.id in self.planner.kept and other.active]
        users = list(self.whole.mappings.where("model", row.id))
        if not kept or any(self.planner.writes(mapping) for mapping in users):
            return False
        for mapping in users:
            move_mapping(self.planner, mapping, row.id, kept[0].id, row.name)
        return True

    def _is_gone(self, alias: Alias) -> bool:
        """Whether an alias goes by itself: people's, where the import is nobody's too."""
        target = self.after.models.get(alias.model_id)
        section = section_of(target) if target else None
        rendered = alias.context in GATEWAY_CONTEXTS and section is not None
        return not self.settled.me and rendered and alias.alias not in self.settled.project.table(section or "")

    def _delete_models(self, gone: list[Model], deleted: set[str]) -> None:
        for row in gone:
            if row.id in deleted:
                self.planner.delete("models", row, "model", _shown(self.after, row), _WHY)
            else:
                wanted = WantedRow("models", "model", _shown(self.after, row), {"active": False}, draft=ModelDraft)
                self.planner.upsert(wanted, row)
        staying = {row.provider_id for row in self.after.models if row.id not in deleted}
        emptied = {row.provider_id for row in gone} - staying
        for provider in self.after.providers:
            if provider.id in emptied and provider.id not in self.planner.kept:
                self.planner.delete(
                    "model_providers", provider, "provider", provider.name, "none of its models is left"
                )

    def remove_sections(self) -> None:
        """Plan the removal of the project's entries from sections that it does not have."""
        for section in self.after.sections:
            if section.name in self.settled.project.sections:
                continue
            value, projects = self._rest(section)
            if not value and not projects and (section.value or owners_in(section, EMPTY) == self.settled.me):
                self.planner.delete("config_sections", section, "section", section.name, _WHY)
            elif value != section.value or projects != section.projects:
                marks = {"projects": projects}
                wanted = WantedRow("config_sections", "section", section.name, {"value": value}, marks=_always(marks))
                self.planner.upsert(wanted, section)

    def _rest(self, section: ConfigSection) -> tuple[Table, dict[str, str]]:
        """Return what stays of a section, and the projects that it belongs to."""
        owners = {name: owners_in(section, name) for name in (*section.value, EMPTY)}
        value = {name: item for name, item in section.value.items() if owners[name] != self.settled.me}
        texts = {name: written_owners(owners[name] - self.settled.me) for name in (*value, EMPTY)}
        return value, {name: text for name, text in texts.items() if text}

    def remove_files(self) -> None:
        """Plan the removal of the project's files."""
        for file in self.after.files:
            owners = read_owners(file.project)
            if file.path in self.settled.project.files or file.id in self.planner.kept:
                continue
            if owners == self.settled.me:
                self.planner.delete("config_files", file, "file", file.path, _WHY)
            elif text := self._left_to(owners):
                self._leave("config_files", "file", file.path, file, {"project": text})

    def _left_to(self, owners: Iterable[str]) -> str | None:
        """Return the other projects of a row that the project had too; None: it has not been the project's."""
        left = frozenset(owners)
        return written_owners(left - self.settled.me) if left & self.settled.me else None

    def _leave(self, table: str, kind: str, name: str, row: Function | Model | ConfigFile, marks: Table) -> None:
        self.planner.upsert(WantedRow(table, kind, name, {}, marks=_always(marks)), row)


def _always(marks: Table) -> Callable[[object], Table]:
    return lambda _: marks


def _is_rendered(after: Snapshot, function: Function) -> bool:
    mappings = after.mappings.where("function", (function.service_name, function.function_name))
    return bool(own_variants(function)) or any(why_mapping_left_out(after, m.model_id) is None for m in mappings)


def _shown(after: Snapshot, row: Model) -> str:
    provider = after.providers.get(row.provider_id)
    return f"{row.name} on {provider.name}" if provider else row.name
