"""Finds the rows that a refusal of a LiteLLM configuration points to. Pure.

A reason gives the section, or `model_list`, the name of the group and the id of the entry, in which the ids of the rows
are (`rendering/groups.py`, `rendering/function_groups.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from model_registry.errors import Reason
from model_registry.gateways.litellm.config import MODEL_LIST
from model_registry.gateways.publishing.exclusions import DEPLOYMENTS, SECTIONS, Part, Settings
from model_registry.gateways.publishing.fault_search import Named
from model_registry.snapshot.live_deployments import is_routed
from model_registry.snapshot.snapshot import Snapshot

_IDS = re.compile(r"[.:@/\s]")
"""What stands between the ids of rows in the id of an entry."""


def settings_of(snapshot: Snapshot) -> Settings:
    """Return the sections, by name: none is left out, because LiteLLM would start without limits or keys."""
    return {row.name: row.value for row in snapshot.sections if row.name != MODEL_LIST}


@dataclass(frozen=True, slots=True)
class LiteLLMSuspects:
    """Parts of a LiteLLM configuration, and those that a reason points to."""

    accepted: Callable[[], Settings | None]
    """The settings accepted last; None while nothing has been: then none can be put back."""

    def parts(self, snapshot: Snapshot) -> Sequence[Part]:
        """Return everything that can be left out; what others need comes before them."""
        parts = [part for row in snapshot.sections for part in self._section(snapshot, row.name)]
        parts += [Part("models", row.id) for row in snapshot.models]
        parts += list(_routes(snapshot))
        parts += [Part("model_aliases", row.id) for row in snapshot.aliases]
        parts += [Part("functions", row.id) for row in snapshot.functions]
        return parts + [Part("service_model_mappings", row.id) for row in snapshot.mappings]

    def named(self, snapshot: Snapshot, reasons: Iterable[Reason]) -> Sequence[Named]:
        """Return the parts that these reasons point to: of a function's entry the model, if its own is refused too."""
        found: dict[Part, Named] = {}
        of_functions: list[tuple[Part, Part | None, Reason]] = []
        for reason in reasons:
            section, _, rest = reason.where.partition(".")
            if section != MODEL_LIST:
                for part in self._section(snapshot, section):
                    found.setdefault(part, Named(part, reason, certain=True))
                continue
            model, mapping = _rows(snapshot, rest)
            if mapping is not None:
                of_functions.append((mapping, model, reason))
            elif model is not None:
                found.setdefault(model, Named(model, reason, certain=True))
            else:
                for part in _of_name(snapshot, rest):
                    found.setdefault(part, Named(part, reason, certain=False))
        for mapping, model, reason in of_functions:
            if model not in found:
                found.setdefault(mapping, Named(mapping, reason, certain=True))
        return list(found.values())

    def owner(self, snapshot: Snapshot, part: Part) -> Part | None:
        """Return a model's provider."""
        model = snapshot.models.get(part.row_id) if part.table == "models" else None
        return Part("model_providers", model.provider_id) if model else None

    def _section(self, snapshot: Snapshot, name: str) -> Iterator[Part]:
        for row in snapshot.sections.where("name", name):
            if name == MODEL_LIST:
                yield Part(SECTIONS, row.id)
            elif (accepted := self.accepted()) is not None and accepted.get(name) != row.value:
                yield Part(SECTIONS, row.id, as_accepted=True)


def _rows(snapshot: Snapshot, where: str) -> tuple[Part | None, Part | None]:
    """Return the model and the mapping whose ids are in the id of an entry."""
    ids = _IDS.split(where)
    model = next((Part("models", one) for one in ids if one and snapshot.models.get(one)), None)
    mapping = next((Part("service_model_mappings", one) for one in ids if one and snapshot.mappings.get(one)), None)
    return model, mapping


def _of_name(snapshot: Snapshot, name: str) -> Iterator[Part]:
    """Yield the rows of a group, and the section whose entries are no rows."""
    yield from (Part("models", row.id) for row in snapshot.models.where("name", name))
    yield from (Part("functions", row.id) for row in snapshot.functions.where("name", name))
    yield from (Part(SECTIONS, row.id) for row in snapshot.sections.where("name", MODEL_LIST))


def _routes(snapshot: Snapshot) -> Iterator[Part]:
    """Yield the deployments that may be routed."""
    for provider in filter(is_routed, snapshot.providers.where("route_by", "deployments")):
        for model in snapshot.models.where("provider", provider.id):
            yield from (Part(DEPLOYMENTS, row.id) for row in snapshot.deployments.where("model", model.id))
