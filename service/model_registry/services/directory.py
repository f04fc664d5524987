"""Finds the targets of a model type: what dispatch asks for every request.

What the rows and the listed versions say is worked out once, and again when one of them has changed.
"""

from __future__ import annotations

from model_registry.entities.model_service import ModelService
from model_registry.services.served_versions import ListedVersions
from model_registry.services.versions import Versions
from model_registry.snapshot.lookup import find_model_service
from model_registry.snapshot.snapshot import Snapshot

_MOST_SPELLINGS = 4096


class InstanceDirectory:
    """The model services of a snapshot, each with its versions."""

    def __init__(self, listed: ListedVersions) -> None:
        self._listed = listed
        self._stamps: tuple[object, ...] = ()
        self._versions: dict[str, Versions] = {}
        self._found: dict[str, tuple[ModelService, Versions]] = {}
        """By the type as callers write it."""

    def find(self, snapshot: Snapshot, model_type: str) -> tuple[ModelService, Versions]:
        """A model service by its type, without case, and its versions. Errors: NotFound."""
        stamps = (
            snapshot.tables["model_services"].stamp,
            snapshot.tables["service_instances"].stamp,
            self._listed.generation,
        )
        if any(now is not before for now, before in zip(stamps, self._stamps or (None,) * 3, strict=True)):
            self._stamps, self._versions, self._found = stamps, {}, {}
        found = self._found.get(model_type)
        if found is None:
            found = self._look_up(snapshot, model_type)
            if len(self._found) < _MOST_SPELLINGS:
                self._found[model_type] = found
        return found

    def _look_up(self, snapshot: Snapshot, model_type: str) -> tuple[ModelService, Versions]:
        service = find_model_service(snapshot, model_type)
        versions = self._versions.get(service.id)
        if versions is None:
            instances = snapshot.instances.where("model_service", service.id)
            versions = self._versions[service.id] = Versions(service, instances, self._listed.by_instance)
        return service, versions
