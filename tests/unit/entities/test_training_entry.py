"""Lists of a training service's entries: every form is read, and what is wrong with a row is said of that row."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model_registry.entities.training_entry import read_entries
from model_registry.errors import SourceUnreadable

A = {"framework": "timm", "model_name": "a", "tags": ["x"], "note": None}
B = {"framework": "timm", "model_name": "b/c.d"}


@pytest.mark.parametrize(
    "document",
    [
        {"framework": "timm", "model_count": 2, "models": [A, B]},
        [A, B],
        (A, B),
        {"timm": {"a": {"tags": ["x"], "note": None}, "b/c.d": {}}},
        {"framework": "timm", "models": {"a": {"tags": ["x"], "note": None}, "b/c.d": {"model_name": None}}},
    ],
)
def test_every_form_of_a_list_holds_the_same_entries(document: object) -> None:
    read = read_entries(document)

    assert read.entries == (A, B)
    assert read.unread == ()


def test_a_bad_row_of_a_framework_does_not_make_it_an_entry() -> None:
    read = read_entries({"timm": {"a": {"tags": ["x"]}, "bad": 5, "": {}}, "note": "ours"})

    assert read.entries == ({"framework": "timm", "model_name": "a", "tags": ["x"]},)
    assert [(one.name, one.reason) for one in read.unread] == [
        ("bad", "must be an object with the fields of a model, not a int"),
        ("(no name)", "model_name: must not be empty"),
        ("note", "must be an object with the fields of a model, not a str"),
    ]


def test_an_entry_whose_fields_are_objects_is_one() -> None:
    entry = {"display_name": "A", "benchmark": {"top1": 1}, "recommended_settings": {"epochs": {}}}

    assert read_entries({"a": entry}, "f").entries == ({"framework": "f", "model_name": "a", **entry},)


def test_rows_that_name_no_framework_are_of_the_documents_or_the_given_one() -> None:
    assert read_entries([{"model_name": "a"}], "mine").entries == ({"framework": "mine", "model_name": "a"},)
    assert read_entries({"framework": "own", "models": [{"model_name": "a"}]}, "mine").entries[0]["framework"] == "own"


@pytest.mark.parametrize("document", [None, 5, "models", {}, {"detail": "Not Found"}, {"models": 1}, {"models": None}])
def test_what_is_no_list_is_an_error(document: object) -> None:
    with pytest.raises(SourceUnreadable, match="There is no list of models"):
        read_entries(document)


def test_an_empty_list_is_one() -> None:
    assert read_entries([]).entries == read_entries({"models": []}).entries == ()


BAD: dict[str, tuple[Any, str]] = {
    "row 1": ("a text", "must be an object with the fields of a model, not a str"),
    "row 2": ({"framework": "f"}, "model_name: is required"),
    "n": ({"model_name": "n"}, "framework: is required"),
    "row 4": ({"framework": "f", "model_name": 7}, "model_name: must be a string"),
    "m" * 100 + "...": ({"framework": "f", "model_name": "m" * 400}, "model_name: must have at most 300 characters"),
    "big": ({"framework": "f", "model_name": "big", "size": 2**64}, "holds an integer outside 64 bits"),
    "long": ({"framework": "f", "model_name": "long", "text": "x" * 70_000}, "at most 65,536 are kept of a model"),
    "nul": ({"framework": "f", "model_name": "nul", "text": "\x00"}, "holds a NUL character"),
}


def test_what_is_wrong_with_a_row_is_said_of_that_row_and_ends_no_other() -> None:
    read = read_entries([*(row for row, _ in BAD.values()), A])

    assert read.entries == (A,)
    assert [one.name for one in read.unread] == list(BAD)
    for one, (_, reason) in zip(read.unread, BAD.values(), strict=True):
        assert reason in one.reason


def test_a_model_that_stands_twice_and_a_count_that_is_wrong_are_said() -> None:
    read = read_entries({"model_count": 3, "models": [A, A]})

    assert read.entries == (A,)
    assert [(one.name, one.reason) for one in read.unread] == [
        ("timm/a", "stands in the list twice"),
        ("model_count", "is 3, but 2 models are listed"),
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
rows = st.fixed_dictionaries(
    {}, optional={"framework": json_values, "model_name": json_values, "tags": json_values, "priority": json_values}
)


@pytest.mark.property
@given(st.lists(json_values | rows, max_size=5))
@example([{"framework": "f", "model_name": "\ud800"}, {"framework": "f", "model_name": "a", "x": {"y": "\udfff"}}])
def test_every_row_is_an_entry_or_has_a_reason(listed: list[Any]) -> None:
    read = read_entries({"models": listed})

    assert len(read.entries) + len(read.unread) == len(listed)
    for entry in read.entries:
        assert entry in listed
    for one in read.unread:
        assert one.reason
        one.name.encode()
