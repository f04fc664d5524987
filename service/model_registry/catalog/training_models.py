"""The models that can be trained: entries of training services, one for each framework and name. Pure.

Several sources may have an entry of one framework and name: services, an installed module, a file. The best source's is
shown; the others' only while no better one lists it. What people edited wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from model_registry.catalog.field_sources import EMPTY, HAND
from model_registry.catalog.training_sources import TRAINING_KINDS
from model_registry.entities.model import Model, ModelStatus
from model_registry.entities.spelling import question
from model_registry.entities.training_entry import Entry, entry_keys
from model_registry.errors import AmbiguousName, ModelNotFound
from model_registry.snapshot.lookup import splits
from model_registry.snapshot.snapshot import Snapshot

TRAINING_TABLES = ("models",)
"""What the list and the entries are made of."""

_IMPORTED_ONCE = 1
"""The place of what somebody imported by hand: it is older than a service's answer."""
_CATALOGUE = {
    "display_name": "display_name",
    "description": "description",
    "params": "parameters",
    "task_types": "task_types",
    "tags": "tags",
}
"""Field of an entry -> the catalogue's field for the same."""
_DEFAULTS = {"recommended_batch_size": "batch_size", "recommended_lr": "learning_rate"}
"""Field of an entry -> key of the catalogue's `training_defaults.hyperparameters`."""

Place = tuple[int, int, int, str, str]
"""Where a row stands among those of one framework and name; the lowest is shown."""


def find_entry(snapshot: Snapshot, framework: str, name: str) -> Entry:
    """Return one whole entry. Errors: ModelNotFound, with the nearest name, or why it is no longer listed."""
    if (model := _best(snapshot, (framework, name))) is not None:
        return entry_of(model)
    known = snapshot.models.where("training", (framework, name))
    raise _not_found(snapshot, f"Model '{name}' not found in framework '{framework}'", name, framework, known)


def find_entry_by_name(snapshot: Snapshot, name: str) -> Entry:
    """Return the entry that is meant by `name` or `framework/name`. Errors: ModelNotFound, AmbiguousName."""
    named = snapshot.models.where("training_name", name)
    keys = {key for row in named for key in entry_keys(row.card, row.model_id)} | set(splits(name))
    entries = [entry_of(model) for key in sorted(keys) if (model := _best(snapshot, key)) is not None]
    if len(entries) == 1:
        return entries[0]
    if entries:
        choices = [f"{entry['framework']}/{entry['model_name']}" for entry in entries]
        message = f"Several frameworks have a model '{name}': ask for one of {', '.join(choices)}."
        raise AmbiguousName(message, allowed=choices)
    raise _not_found(snapshot, f"Model '{name}' not found", name, None, named)


def entry_of(model: Model) -> Entry:
    """Return the entry of a model as its source wrote it, with what others changed in the catalogue."""
    card, sources = model.card, model.field_sources
    ((framework, model_name),) = entry_keys(card, model.model_id)
    entry = {"framework": framework, "model_name": model_name} | {
        name: value for name, value in card["training_entry"].items() if name not in ("framework", "model_name")
    }
    source = sources.get("training_entry")
    for theirs, ours in _CATALOGUE.items():
        value = model.description if ours == "description" else card.get(ours)
        if _overrules(sources.get(ours), source, value):
            entry[theirs] = value
    # A row without a status has `active`: that is no edit where the entry has none, or one that the catalogue lacks.
    has_status = entry.get("status") in get_args(ModelStatus) or model.status != "active"
    if has_status and _overrules(sources.get("status"), source, model.status):
        entry["status"] = model.status
    defaults = card.get("training_defaults")
    if isinstance(defaults, Mapping) and _overrules(sources.get("training_defaults"), source, defaults):
        hyperparameters = defaults.get("hyperparameters") or {}
        entry |= {theirs: hyperparameters[ours] for theirs, ours in _DEFAULTS.items() if ours in hyperparameters}
    return entry


def is_listed(model: Model) -> bool:
    """Whether a row's entry counts: a source lists it still, and no person has switched it off."""
    return model.missing_since is None and (model.status != "disabled" or "status" in model.field_sources)


def place_of(snapshot: Snapshot, model: Model) -> Place:
    """Return where a row stands among those of one framework and name.

    What people wrote comes first, then the sources in their order: by position, then services, imports by hand,
    modules, files.
    """
    source = model.field_sources.get("training_entry")
    if source is None:
        return 0, 0, 0, "", model.id
    found = next(iter(snapshot.sources.where("name", source)), None)
    if found is None:
        return 1, 0, _IMPORTED_ONCE, source, model.id
    return 1, found.position, TRAINING_KINDS.get(found.kind, _IMPORTED_ONCE), source, model.id


def _best(snapshot: Snapshot, key: tuple[str, str]) -> Model | None:
    """Return the row whose entry is shown for a framework and name."""
    rows = [row for row in snapshot.models.where("training", key) if is_listed(row)]
    return rows[0] if len(rows) == 1 else min(rows, key=lambda row: place_of(snapshot, row), default=None)


def _overrules(owner: str | None, source: str | None, value: object) -> bool:
    """Whether the catalogue's field, from this owner, wins over the entry's, from that source (None: a person)."""
    if owner == HAND:
        return True  # emptied by hand
    if owner is None:
        return value not in EMPTY
    return source is not None and owner != source


def _not_found(
    snapshot: Snapshot, message: str, name: str, framework: str | None, known: Sequence[Model]
) -> ModelNotFound:
    """Say that a model is not there, and why, or which name is near. Old programs compare the message alone."""
    keys: Iterator[Any] = snapshot.models.keys("training")
    names = {other for of, other in keys if framework in (None, of)}
    rest = " No source lists it any more." if known else question(name, names)
    return ModelNotFound(f"{message}.{rest}" if rest else message)
