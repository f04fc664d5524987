"""What a query in PostgREST's language may not do to the service."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from model_registry.catalog import rest_functions
from model_registry.catalog.rest_functions import FUNCTIONS
from model_registry.catalog.rest_query import queried
from model_registry.errors import Invalid


@pytest.mark.parametrize("name", ["limit", "offset"])
def test_a_number_with_thousands_of_zeros_before_it_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="a whole number"):
        queried([{"id": "a"}], [(name, "0" * 5000 + "1")])


def test_of_thousands_of_wrong_arguments_the_first_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    suggestion = Mock(return_value="")
    monkeypatch.setattr(rest_functions, "suggestion", suggestion)
    with pytest.raises(Invalid, match="p_alias: is missing") as refused:
        FUNCTIONS["get_model_by_alias"].checked([(f"a{number}", 1) for number in range(5000)])
    assert len(refused.value.reasons) == 20
    assert suggestion.call_count <= 20
