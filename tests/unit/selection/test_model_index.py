"""The index of one version of the models, and of the next, always equals one built from scratch."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from model_registry.catalog.views import is_offered
from model_registry.entities.change import Operation
from model_registry.entities.model import Model
from model_registry.selection.model_index import Columns, ModelIndexes
from support.catalogues import Catalogue
from support.choices import catalogue_of, operations


def row(number: int) -> Model:
    return Model(id=str(number), provider_id="p", name=str(number), model_id="m")


@given(st.lists(st.integers(0, 9), unique=True), st.lists(st.integers(0, 12), unique=True), st.sets(st.integers(0, 12)))
def test_the_next_columns_are_what_new_ones_would_be(old: list[int], new: list[int], edited: set[int]) -> None:
    before = {number: row(number) for number in range(13)}
    after = {number: row(number) if number in edited else before[number] for number in range(13)}
    read: list[str] = []

    def name(model: Model) -> str:
        read.append(model.name)
        return model.name

    columns = Columns([before[number] for number in old])
    columns.column("name", name)
    read.clear()
    following = columns.followed_by([after[number] for number in new])

    assert following.column("name", name) == [str(number) for number in new]
    assert columns.column("name", name) == [str(number) for number in old]
    assert {int(number) for number in read} == {n for n in new if n in edited or n not in old}


def test_an_index_is_kept_until_its_tables_change_and_no_longer() -> None:
    catalogue = Catalogue()
    local = catalogue.provider()
    model = catalogue.model(local, "m")
    first = catalogue.snapshot()
    indexes = ModelIndexes()
    index = indexes.of(first)

    node = Operation("gpu_nodes", "insert", "n", {"node_id": "gpu-1"})
    assert indexes.of(first.preview([node])) is index

    provider_off = first.preview([Operation("model_providers", "update", local, {"active": False})])
    assert (index.offered().bit_count(), indexes.of(provider_off).offered()) == (1, 0)
    renamed = first.preview([Operation("models", "update", model, {"name": "n"})])
    assert indexes.of(renamed).keys("name") == {"n"}
    assert indexes.of(first).keys("name") == {"m"}


@given(operations(), st.randoms(use_true_random=False))
def test_what_is_offered_is_what_views_say(made: list[Operation], random: Any) -> None:
    """One index after another, brought forward operation by operation."""
    indexes = ModelIndexes()
    snapshot = catalogue_of([])
    random.shuffle(made)
    for operation in made:
        snapshot = snapshot.preview([operation])
        index = indexes.of(snapshot)
        assert index.select(index.offered(), index.rows) == [m for m in snapshot.models if is_offered(snapshot, m)]
