"""Of a query with thousands of unknown parameters, a hundred are looked at: each takes time on the event loop."""

from __future__ import annotations

from typing import Annotated
from unittest.mock import Mock

import pytest
from fastapi.dependencies.utils import get_dependant
from starlette.datastructures import QueryParams

from model_registry.api import unknown_input


def endpoint(limit: Annotated[int, "any"] = 1) -> None: ...


def test_thousands_of_unknown_parameters_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    suggestion = Mock(return_value="")
    monkeypatch.setattr(unknown_input, "suggestion", suggestion)
    parameters = unknown_input.Parameters("/api/models", get_dependant(path="/api/models", call=endpoint))

    faults = parameters.faults(QueryParams([(f"a{number}", "") for number in range(5000)]))

    assert len(faults) == suggestion.call_count == 100
