"""Finding the one row that a name refers to, among rows with similar names."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.entities.change import Operation
from model_registry.errors import AmbiguousName, ModelNotFound, NotFound
from model_registry.snapshot.lookup import (
    as_uuid,
    find_alias,
    find_deployment,
    find_function,
    find_mapping,
    find_model,
    find_provider,
)
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue

ID = "6f3a27d4-0000-4000-8000-00000000000a"


def with_row(snapshot: Snapshot, table: str, row_id: str, **columns: object) -> Snapshot:
    """The snapshot with one more row, with an id of our choice."""
    return snapshot.preview([Operation(table, "insert", row_id, columns)])


@pytest.mark.parametrize(
    "written",
    [ID, ID.upper(), ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}"],
    ids=["plain", "upper", "bare", "braces", "urn"],
)
def test_ids_are_read_in_every_way_they_are_written(written: str) -> None:
    assert as_uuid(written) == ID


@pytest.mark.parametrize("text", ["", "m", ID[:-1], f"{ID}0", "g" * 32, "\ud800", "\x00"])
def test_what_is_no_id_is_none(text: str) -> None:
    assert as_uuid(text) is None


def test_an_id_counts_more_than_a_name_that_looks_like_one() -> None:
    catalogue = Catalogue()
    catalogue.provider(ID)
    snapshot = with_row(catalogue.snapshot(), "model_providers", ID, name="other", type="vllm")

    assert find_provider(snapshot, ID).name == "other"


def test_a_name_that_looks_like_an_id_is_found_where_no_row_has_that_id() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider(ID)
    bare = UUID(ID).hex
    catalogue.model(provider, bare)
    snapshot = catalogue.snapshot()

    assert find_provider(snapshot, ID).id == provider
    assert find_model(snapshot, bare).name == bare


def test_a_provider_chooses_among_models_that_share_a_name() -> None:
    catalogue = Catalogue()
    here, there = catalogue.provider("here"), catalogue.provider("there")
    models = {name: catalogue.model(provider, "m") for name, provider in {"here": here, "there": there}.items()}
    snapshot = catalogue.snapshot()

    assert find_model(snapshot, "m", "here").id == models["here"]
    assert find_model(snapshot, "m", "there").id == models["there"]
    with pytest.raises(AmbiguousName, match="m-id at here") as caught:
        find_model(snapshot, "m")
    assert {match["id"] for match in caught.value.data["matches"]} == set(models.values())
    with pytest.raises(NotFound, match="no provider 'nowhere'"):
        find_model(snapshot, "m", "nowhere")
    with pytest.raises(ModelNotFound, match="no model 'x' at the provider 'here'"):
        find_model(snapshot, "x", "here")


def test_a_providers_name_for_a_model_is_asked_only_where_no_model_has_the_name() -> None:
    catalogue = Catalogue()
    here, there = catalogue.provider("here"), catalogue.provider("there")
    named = catalogue.model(here, "m", model_id="x")
    other = catalogue.model(there, "n", model_id="m")
    snapshot = catalogue.snapshot()

    assert find_model(snapshot, "m").id == named
    # Among the models of that provider, only the second one can be meant.
    assert find_model(snapshot, "m", "there").id == other


def test_one_alias_of_one_model_in_two_contexts_is_not_ambiguous_for_the_model() -> None:
    catalogue = Catalogue()
    model = catalogue.model(catalogue.provider())
    catalogue.alias(model, "a")
    catalogue.alias(model, "a", "agents")
    snapshot = catalogue.snapshot()

    assert find_model(snapshot, "a").id == model
    with pytest.raises(AmbiguousName, match=r"a in context \(any\), a in context agents"):
        find_alias(snapshot, "a")


def test_a_functions_own_name_counts_more_than_its_service_and_function() -> None:
    catalogue = Catalogue()
    by_key = catalogue.function("f", "s", name="x")
    by_name = catalogue.function("g", "t", name="s/f")
    snapshot = catalogue.snapshot()

    assert find_function(snapshot, "s/f").id == by_name
    assert find_function(snapshot, "x").id == by_key


@given(*[st.text("ab/", min_size=1, max_size=4)] * 3)
def test_mappings_and_deployments_are_found_however_many_slashes_their_names_hold(a: str, b: str, c: str) -> None:
    catalogue = Catalogue()
    catalogue.mapping(catalogue.model(catalogue.provider()), c, service_name=a, function_name=b)
    names = {"node_id": a, "provider_type": b, "announced_model": c}
    snapshot = with_row(catalogue.snapshot(), "model_deployments", ID, **names)

    assert find_mapping(snapshot, f"{a}/{b}/{c}").variant_name == c
    assert find_deployment(snapshot, f"{a}/{b}/{c}").id == ID


def test_nothing_is_found_in_an_empty_registry() -> None:
    empty = Snapshot.empty()

    for reference in ("", "x", ID, "a/b/c", "////"):
        for find in (find_provider, find_model, find_alias, find_function, find_mapping, find_deployment):
            with pytest.raises(NotFound):
                find(empty, reference)
