"""Which databases a row makes a gateway need. tests/acceptance asks the real gateway about the same."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from model_registry.entities.change import Operation
from model_registry.entities.config import ConfigSection
from model_registry.entities.function import Function
from model_registry.entities.gateway import Gateway
from model_registry.gateways.environment import Provided, provided
from model_registry.gateways.tensorzero.backends import lacking, needed
from model_registry.gateways.tensorzero.rendering.variables import row_needs
from support.backends import FUNCTIONS, SECTIONS
from support.catalogues import Catalogue


def function(experimentation: Any) -> Function:
    names = {"service_name": "s", "function_name": "f", "name": "f"}
    return Function(id="f", **names, type="chat", tensorzero={"experimentation": experimentation})


@pytest.mark.parametrize(("text", "databases"), SECTIONS.items())
def test_a_section_needs_its_databases(text: str, databases: tuple[str, ...]) -> None:
    ((name, value),) = tomllib.loads(text).items()
    found = [need.any_of for need in needed(ConfigSection(id="s", name=name, value=value))]
    assert found == ([databases] if databases else [])


@pytest.mark.parametrize(("text", "databases"), FUNCTIONS.items())
def test_a_function_needs_its_databases(text: str, databases: tuple[str, ...]) -> None:
    found = [need.any_of for need in needed(function(tomllib.loads(f"e = {text}")["e"]))]
    assert found == ([databases] if databases else [])


def of(catalogue: Catalogue, has: list[str] | None) -> Provided:
    gateway = Gateway(id="g", name="edge", kind="tensorzero", settings={"has": has})
    return provided(catalogue.snapshot(), gateway, row_needs, lacking)


def test_a_function_whose_database_is_not_there_is_left_out_with_what_to_do() -> None:
    catalogue = Catalogue()
    adaptive = {"type": "adaptive", "algorithm": "track_and_stop", "candidate_variants": ["v"], "metric": "m"}
    catalogue.function("learns", tensorzero={"experimentation": adaptive})
    catalogue.function("plain")
    found = of(catalogue, ["clickhouse"])
    assert [(o.kind, o.name) for o in found.omissions] == [("function", "svc_learns")]
    assert "Set TENSORZERO_POSTGRES_URL where it runs and list it there" in found.omissions[0].reason
    assert [row.name for row in found.snapshot.functions] == ["svc_plain"]
    assert of(catalogue, ["postgres"]).omissions == of(catalogue, None).omissions == ()


def test_settings_whose_database_is_not_there_hold_everything_back() -> None:
    """Without its limits a gateway would let everything through."""
    catalogue = Catalogue()
    value = {"backend": "valkey", "enabled": False}
    catalogue.operations.append(Operation("config_sections", "insert", "s", {"name": "rate_limiting", "value": value}))
    assert [reason.where for reason in of(catalogue, []).reasons] == ["section rate_limiting"]
    assert of(catalogue, ["valkey"]).reasons == of(catalogue, None).reasons == ()
