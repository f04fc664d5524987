"""One id per model, whatever its providers' names for it, and the way from the id back to the model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.errors import AmbiguousName, ModelNotFound
from model_registry.garden.document_models import find_garden_model, garden_id
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue

# Few words, so that names, models and providers are often each other's.
WORDS = st.sampled_from(["a", "b", "a/b", "b/a", "a/a/b"])


def catalogue(rows: list[tuple[str, str, str]]) -> Snapshot:
    made = Catalogue()
    providers = {name: made.provider(name) for name, _, _ in rows}
    for provider, name, model_id in dict.fromkeys(rows):
        made.model(providers[provider], name, model_id=model_id)
    return made.snapshot()


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=6, unique_by=lambda row: row[:2]))
def test_no_two_models_have_one_id_and_each_is_found_by_its_own(rows: list[tuple[str, str, str]]) -> None:
    snapshot = catalogue(rows)

    ids = [garden_id(snapshot, model) for model in snapshot.models]

    assert len(set(ids)) == len(ids)
    for key, model in zip(ids, snapshot.models, strict=True):
        if key != model.id:  # the tests' row ids are no uuids
            assert find_garden_model(snapshot, key).id == model.id


def test_the_id_is_what_the_provider_says_then_the_name_then_both() -> None:
    snapshot = catalogue([("lab", "one", "x/y"), ("lab", "two", "z"), ("cloud", "two", "z"), ("cloud", "three", "z")])

    ids = {garden_id(snapshot, model) for model in snapshot.models}

    assert ids == {"x/y", "lab/two", "cloud/two", "three"}


def test_names_find_a_model_too() -> None:
    snapshot = catalogue([("lab", "one", "x/y"), ("lab", "two", "z"), ("cloud", "two", "z")])

    assert find_garden_model(snapshot, "one").model_id == "x/y"
    with pytest.raises(AmbiguousName):
        find_garden_model(snapshot, "two")
    with pytest.raises(ModelNotFound):
        find_garden_model(snapshot, "nobody/nothing")
