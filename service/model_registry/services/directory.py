"""Finds the targets of a model type: what dispatch asks for every request.

What the rows and the listed versions say is worked out once, and again when one of them has changed.
"""

from __future__ import annotations

from model_registry.entities.model_service import ModelService
from model_registry.services.served_versions import ListedVersions
from model_registry.services.versions import Versions
from model_registry.snapshot.lookup import find_model_service
from model_registry.snapshot.snapshot import Snapshot

_MOST_SPELLINGS = 10_000
"""Remembered, of model types: lstm and LSTM are two. Others are looked up each time."""


class InstanceDirectory:
    """The model services of a snapshot, each with its versions."""

    def __init__(self, listed: ListedVersions) -> None:
        self._listed = listed
        self._stamps: tuple[object, ...] = ()
        self._found: dict[str, tuple[ModelService, Versions]] = {}
        """By the model type as requests spell it."""

    def find(self, snapshot: Snapshot, model_type: str) -> tuple[ModelService, Versions]:
        """A model service by its type, without case, and its versions. Errors: NotFound.

        Both are the same objects until a row or what an instance lists has changed.
        """
        stamps = (snapshot.model_services.stamp, snapshot.instances.stamp, self._listed.generation)
        if stamps != self._stamps:
            self._stamps, self._found = stamps, {}
        found = self._found.get(model_type)
        if found is None:
            service = find_model_service(snapshot, model_type)
            found = self._found.get(service.model_type)
            if found is None:
                instances = snapshot.instances.where("model_service", service.id)
                found = service, Versions(service, instances, self._listed.by_instance)
                self._found[service.model_type] = found
            if len(self._found) < _MOST_SPELLINGS:
                self._found[model_type] = found
        return found
