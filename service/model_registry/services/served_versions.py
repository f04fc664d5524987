"""What instances list at `/models`: the versions they can answer with. Read here, asked for by the prober. Pure.

Lists are read as services are known to write them: names, or objects with `model_name` and `training_date`, bare or
under `models`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from model_registry.fleet.event_fields import read_time
from model_registry.services.versions import ServedVersion

MOST_VERSIONS = 1000
"""Of one instance, those that come last: others are not even looked at, for a list may have a hundred thousand."""
_NAMES = ("model_name", "name", "version", "id")
_DATES = ("training_date", "trained_at", "created_at", "date")
_LISTS = ("models", "items", "data", "versions")
_LONGEST_NAME = 300


class ListedVersions:
    """What each instance listed last. An instance that lists nothing has no entry."""

    def __init__(self) -> None:
        self.by_instance: dict[str, Sequence[ServedVersion]] = {}
        self.generation = object()
        """Another one after every change."""

    def put(self, service_id: str, versions: Sequence[ServedVersion]) -> None:
        """Note what an instance lists."""
        if self.by_instance.get(service_id, ()) != versions:
            self.by_instance[service_id] = versions
            if not versions:
                del self.by_instance[service_id]
            self.generation = object()

    def names(self, service_id: str) -> list[str]:
        """The names of what an instance lists."""
        return [version.name for version in self.by_instance.get(service_id, ())]

    def keep_only(self, service_ids: Collection[str]) -> None:
        """Forget the others: they are gone."""
        for gone in [service_id for service_id in self.by_instance if service_id not in service_ids]:
            self.put(gone, ())


def read_versions(body: bytes) -> Sequence[ServedVersion]:
    """The versions in an answer to `GET /models`; none when it holds no list."""
    try:
        content = orjson.loads(body)
    except ValueError:
        return ()
    if isinstance(content, Mapping):
        content = next((content[name] for name in _LISTS if isinstance(content.get(name), list | dict)), ())
    if isinstance(content, Mapping):  # name -> what is known of it
        last = list(content.items())[-MOST_VERSIONS:]
        content = [{**facts, "model_name": name} for name, facts in last if isinstance(facts, dict)]
    found = (_read(entry) for entry in content[-MOST_VERSIONS:]) if isinstance(content, list) else ()
    return tuple(version for version in found if version is not None)


def _read(entry: Any) -> ServedVersion | None:  # noqa: ANN401 (any JSON)
    if isinstance(entry, str):
        entry = {"model_name": entry}
    if not isinstance(entry, Mapping):
        return None
    name = next((entry[key] for key in _NAMES if isinstance(entry.get(key), str) and entry[key]), None)
    if name is None or len(name) > _LONGEST_NAME:
        return None
    return ServedVersion(name, next((date for key in _DATES if (date := _date(entry.get(key)))), None))


def _date(given: object) -> datetime | None:
    try:
        return read_time(given) if given is not None else None
    except ValueError:
        return None
