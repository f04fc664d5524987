"""The list of the models that can be trained, filtered and in order. Pure.

The index keeps each model's part of the list: after a change only changed models are read again.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic_core import to_json

from model_registry.catalog.training_models import entry_of, is_listed, place_of
from model_registry.catalog.training_views import list_view
from model_registry.entities.model import Model
from model_registry.entities.training_entry import entry_keys
from model_registry.selection.model_index import ModelIndex
from model_registry.snapshot.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model in the list."""

    key: tuple[str, str]
    """Its framework and name."""
    priority: int
    task_types: frozenset[str]
    tags: frozenset[str]
    json: bytes
    """Its row of the list."""
    model: Model


@dataclass(frozen=True, slots=True)
class TrainingFilter:
    """Conditions on models; all must hold. A value that no model has matches none."""

    framework: str | None = None
    task_type: str | None = None
    tags: frozenset[str] = frozenset()
    """Any of them."""
    priority: int | None = None

    def passes(self, listed: ListedModel) -> bool:
        """Whether a model fulfils all conditions."""
        return (
            self.framework in (None, listed.key[0])
            and (self.task_type is None or self.task_type in listed.task_types)
            and (not self.tags or not self.tags.isdisjoint(listed.tags))
            and self.priority in (None, listed.priority)
        )


def listed_models(snapshot: Snapshot, index: ModelIndex, conditions: TrainingFilter) -> list[ListedModel]:
    """Return the models that pass, by framework, priority and name. Can be called from any thread."""
    known: dict[object, list[ListedModel]] = index.memo("training", dict)
    stamp = snapshot.sources.stamp  # their order decides which entries are shown
    found = known.get(stamp)
    if found is None:
        known.clear()
        found = known[stamp] = _all(snapshot, index)
    return found if conditions == TrainingFilter() else [listed for listed in found if conditions.passes(listed)]


def _all(snapshot: Snapshot, index: ModelIndex) -> list[ListedModel]:
    best: dict[tuple[str, str], ListedModel] = {}
    for listed in index.columns.column("training", _listed):
        if listed is None:
            continue
        other = best.get(listed.key)
        if other is None or place_of(snapshot, listed.model) < place_of(snapshot, other.model):
            best[listed.key] = listed
    return sorted(best.values(), key=lambda listed: (listed.key[0], listed.priority, listed.key[1]))


def _listed(model: Model) -> ListedModel | None:
    keys = entry_keys(model.card, model.model_id)
    if not keys or not is_listed(model):
        return None
    view = list_view(entry_of(model))
    tasks, tags = frozenset(view["task_types"]), frozenset(view["tags"])
    return ListedModel(keys[0], view["priority"], tasks, tags, to_json(view), model)
