"""Which version of a model answers a request, and at which instances. Pure: chance is an argument.

A version is a name: an instance's own `model_version`, or one that it lists at `/models`. What is asked for by name
goes to the instances that have it, and to no other. A request that names none, or `latest`, goes to

1. the `selected_version` of the model service, where it has one other than `latest`: nowhere else;
2. a version drawn by `version_weights`, where it has some;
3. the newest by its own training date.

In the last two cases the other versions answer while no instance of the chosen one can: those are the lower tiers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from model_registry.entities.model_service import ModelService, ServiceInstance
from model_registry.services.dispatch.targets import Target
from model_registry.services.instance_targets import target_of

LATEST = "latest"
_DATED = re.compile(r"(?<!\d)(\d{8})_(\d{4})")
"""How model services name what they trained: 20261130_0900."""
_NUMBERS = re.compile(r"(\d+)")


class ServedVersion(NamedTuple):
    """A version that an instance has."""

    name: str
    trained_at: datetime | None = None


Listed = Mapping[str, Sequence[ServedVersion]]
"""`service_id` -> what the instance lists at /models. Without an entry it has one version, named or not."""


class Versions:
    """The versions of one model service, at these instances. Targets are made once for each choice."""

    def __init__(self, service: ModelService, instances: Iterable[ServiceInstance], listed: Listed) -> None:
        self._service = service
        self._offered = [(instance, _versions_of(instance, listed)) for instance in instances]
        self._listing = frozenset(
            instance.service_id for instance, _ in self._offered if listed.get(instance.service_id)
        )
        self.names = _newest_first(v for _, versions in self._offered for v in versions if v)
        """Of all versions, the newest first."""
        self._named: dict[str, tuple[Target, ...]] = {}
        self._ranked: dict[str | None, tuple[Target, ...]] = {}
        weights = {name: service.version_weights.get(name, 0.0) for name in self.names}
        drawn = service.selected_version is None
        self._weights = {name: weight for name, weight in weights.items() if weight and drawn}

    def targets(self, requested: str | None = None, *, chance: float = 0.0) -> tuple[Target, ...]:
        """Where a request for a version may go; nowhere when no instance has it.

        A target's `version` is what the request must name there: None at an instance that lists no versions.

        Args:
            requested: What the request says; None and `latest` leave it to the model service.
            chance: A random number from 0 up to 1, for `version_weights`.
        """
        name = self._service.selected_version if requested in (None, LATEST) else requested
        if name is None or name == LATEST:
            return self._in_tiers(self._drawn(chance))
        if name not in self._named:
            if name not in self.names:
                return ()  # not kept: callers may ask for anything
            found = [(i, v) for i, versions in self._offered for v in versions if v and v.name == name]
            self._named[name] = tuple(self._target(instance, version, 0) for instance, version in found)
        return self._named[name]

    def _drawn(self, chance: float) -> str | None:
        """The version to try first: by its weight, else the newest."""
        if not self._weights:
            return self.names[0] if self.names else None
        mark = chance * sum(self._weights.values())
        for name, weight in self._weights.items():
            if mark < weight:
                return name
            mark -= weight
        return next(reversed(self._weights))

    def _in_tiers(self, first: str | None) -> tuple[Target, ...]:
        if first not in self._ranked:
            others = sorted(self._weights, key=lambda name: -self._weights[name]) if self._weights else self.names
            order = [first, *(name for name in others if name != first)]
            self._ranked[first] = tuple(
                self._target(instance, version, tier)
                for instance, versions in self._offered
                for tier, version in _best(versions, order)
            )
        return self._ranked[first]

    def _target(self, instance: ServiceInstance, version: ServedVersion | None, tier: int) -> Target:
        named = version.name if version and instance.service_id in self._listing else None
        return target_of(self._service, instance, version=named, tier=tier)


def _best(
    versions: Sequence[ServedVersion | None], order: Sequence[str | None]
) -> list[tuple[int, ServedVersion | None]]:
    """The version that an instance answers with, and its tier; nothing when it has none of them."""
    tiers = [(0 if v is None else order.index(v.name), v) for v in versions if v is None or v.name in order]
    return [min(tiers, key=lambda pair: pair[0])] if tiers else []


def _versions_of(instance: ServiceInstance, listed: Listed) -> Sequence[ServedVersion | None]:
    """What the instance has. None: it says nothing of versions, and takes what asks for no particular one."""
    return listed.get(instance.service_id) or (
        ServedVersion(instance.model_version) if instance.model_version else None,
    )


def _newest_first(versions: Iterable[ServedVersion]) -> list[str]:
    """Each name once, by training date; those without one come after, the higher number first."""
    ages: dict[str, _Age] = {}
    for version in versions:
        ages[version.name] = max(ages.get(version.name, _YOUNGEST), _age_of(version))
    return sorted(ages, key=lambda name: ages[name], reverse=True)


_Age = tuple[bool, float, list[tuple[int, str]]]
_YOUNGEST: _Age = (False, 0.0, [])


def _age_of(version: ServedVersion) -> _Age:
    trained = version.trained_at or _date_in(version.name)
    parts = [(int(part), "") if part.isdigit() else (-1, part) for part in _NUMBERS.split(version.name)]
    return trained is not None, trained.timestamp() if trained else 0.0, parts


def _date_in(name: str) -> datetime | None:
    dated = _DATED.search(name)
    try:
        return datetime.strptime(dated[1] + dated[2], "%Y%m%d%H%M").replace(tzinfo=UTC) if dated else None
    except ValueError:
        return None
