"""What a model is called in Model Garden's world, where every model has one id: what its provider calls it.

Here the same model may be offered by several providers, and one provider's word may be another model's name. Then the
id is the model's name; where that is taken too, `provider/name`; and in the last resort its row's id.
"""

from __future__ import annotations

from model_registry.entities.model import Model
from model_registry.snapshot.lookup import find_model, splits
from model_registry.snapshot.snapshot import Snapshot


def garden_id(snapshot: Snapshot, model: Model) -> str:
    """The id of one model. No two models have the same."""
    provider = snapshot.providers.get(model.provider_id)
    for candidate in (model.model_id, model.name, f"{provider.name}/{model.name}" if provider else model.id):
        if [meant.id for meant in _meant(snapshot, candidate)] == [model.id]:
            return candidate
    return model.id


def find_garden_model(snapshot: Snapshot, reference: str) -> Model:
    """By its id here; else by whatever finds a model. Errors: ModelNotFound, AmbiguousName."""
    meant = _meant(snapshot, reference)
    return meant[0] if len(meant) == 1 else find_model(snapshot, reference)


def _meant(snapshot: Snapshot, reference: str) -> list[Model]:
    """The models that an id may stand for, looking in the order in which ids are given."""
    return (
        snapshot.models.where("model_id", reference)
        or snapshot.models.where("name", reference)
        or [
            model
            for provider, name in splits(reference)
            for model in snapshot.models.where("name", name)
            if any(p.id == model.provider_id for p in snapshot.providers.where("name", provider))
        ]
    )
