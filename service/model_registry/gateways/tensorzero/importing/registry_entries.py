"""The registry's side of an import: the entries of a gateway's configuration, and the projects of each. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model_registry.entities.config import ConfigFile, ConfigSection
from model_registry.entities.function import Function
from model_registry.entities.model import Model
from model_registry.entities.provider_types import is_shorthand
from model_registry.gateways.tensorzero.project import MODEL_TABLES, Table
from model_registry.gateways.tensorzero.rendering.function_tables import function_entry
from model_registry.gateways.tensorzero.rendering.provider_tables import plain, section_of
from model_registry.gateways.tensorzero.rendering.routed_models import group
from model_registry.imports.projects import NOBODY, Owners, model_owners, read_owners
from model_registry.snapshot.snapshot import Snapshot

FILES = "files"
"""Stands for the files, where other keys have a section: no table of a configuration is called so."""

AS_ONE = "object_storage"
"""A section whose keys mean nothing without each other: they belong to the same projects."""

Key = tuple[str, str]
"""A section and an entry of it: ("functions", "chat"), ("metrics", "solved"), ("files", "prompts/system.txt")."""

EMPTY = ""
"""The entry of a section that has none: the section itself."""


@dataclass(frozen=True, slots=True)
class RegistryEntries:
    """What the registry has for one gateway."""

    content: Snapshot
    """Only the functions, sections and files of the gateway; all models."""
    gateway: str

    def owners(self, key: Key) -> Owners:
        """Return the projects that an entry came from; nobody's where there is none."""
        section, name = key
        if section in MODEL_TABLES:
            return NOBODY.union(*(self.owners_of_model(row) for row in self.models(key)))
        if section == "functions":
            function = self.function(name)
            return read_owners(function.project) if function else NOBODY
        if section == FILES:
            file = self.file(name)
            return read_owners(file.project) if file else NOBODY
        row = self.section(section)
        names = [*row.value] if row and section == AS_ONE else [name]
        return NOBODY.union(*(owners_in(row, name) for name in names)) if row else NOBODY

    def entry(self, key: Key) -> Any:  # noqa: ANN401 (a table, a value of a section, a text)
        """Return an entry as it is rendered: None where it is not."""
        section, name = key
        if section in MODEL_TABLES:
            return self._model(key)
        if section == "functions":
            function = self.function(name)
            tables = function_entry(self.content, function).tables if function else ()
            return tables[0][2] if tables else None
        if section == FILES:
            file = self.file(name)
            return file.content if file else None
        row = self.section(section)
        return plain(row.value).get(name) if row else None

    def function(self, name: str) -> Function | None:
        """Return the row of a function."""
        return next(iter(self.content.functions.where("name", name)), None)

    def file(self, path: str) -> ConfigFile | None:
        """Return the row of a file."""
        return next(iter(self.content.files.where("path", path)), None)

    def section(self, name: str) -> ConfigSection | None:
        """Return the row of a section."""
        return next(iter(self.content.sections.where("name", name)), None)

    def models(self, key: Key) -> list[Model]:
        """Return the rows of a routed model."""
        section, name = key
        return [row for row in self.content.models.where("name", name) if section_of(row) == section]

    def owners_of_model(self, row: Model) -> Owners:
        """Return the projects of one row of a routed model."""
        return model_owners(row, self.gateway)

    def _model(self, key: Key) -> Table | None:
        """Make a model's table without the providers that people have added: they follow those of any project."""
        section, name = key
        routed = group(self.content, section, name)
        if not routed.offers or is_shorthand(name):
            return None
        table = routed.table()
        of_people = {offer.key for offer in routed.offers if not self.owners_of_model(offer.model)}
        routing = [key for key in table["routing"] if key not in of_people] or table["routing"]
        return {**table, "routing": routing, "providers": {key: table["providers"][key] for key in routing}}


def owners_in(row: ConfigSection, name: str) -> Owners:
    """Return the projects of a section's entry. What it has no more belongs to nobody."""
    there = name in row.value or (name == EMPTY and not row.value)
    return read_owners(row.projects.get(name)) if there else NOBODY
