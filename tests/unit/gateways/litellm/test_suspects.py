"""Which rows a refusal of a LiteLLM configuration points to."""

from __future__ import annotations

from model_registry.entities.change import Operation
from model_registry.errors import Reason
from model_registry.gateways.litellm.suspects import LiteLLMSuspects
from model_registry.gateways.publishing.exclusions import Part
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue

SUSPECTS = LiteLLMSuspects(lambda: {"router_settings": {}})


def named(snapshot: Snapshot, *wheres: str) -> list[tuple[Part, bool]]:
    return [(found.part, found.certain) for found in SUSPECTS.named(snapshot, [Reason(where, "x") for where in wheres])]


def test_the_id_of_an_entry_names_its_row() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider(), "a.b:c")
    catalogue.function()
    mapping = catalogue.mapping(m)
    snapshot = catalogue.snapshot()
    assert named(snapshot, f"model_list.a.b:c.{m}@node") == [(Part("models", m), True)]
    assert named(snapshot, f"model_list.svc_chat.{mapping}:{m}") == [(Part("service_model_mappings", mapping), True)]


def test_a_model_is_to_blame_and_not_the_functions_that_use_it() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider(), "m")
    catalogue.function()
    mapping = catalogue.mapping(m)
    found = named(catalogue.snapshot(), f"model_list.svc_chat.{mapping}/fallback:{m}", f"model_list.m.{m}")
    assert found == [(Part("models", m), True)]


def test_a_name_alone_is_no_certain_sign() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider(), "m")
    assert named(catalogue.snapshot(), "model_list.m") == [(Part("models", m), False)]


def test_settings_are_put_back_and_never_left_out() -> None:
    section = {"name": "router_settings", "value": {"routing_strategy": "x"}}
    snapshot = Snapshot.empty().preview([Operation("config_sections", "insert", "s", section)])
    part = Part("config_sections", "s", as_accepted=True)
    assert named(snapshot, "router_settings.routing_strategy") == [(part, True)]
    assert SUSPECTS.parts(snapshot) == [part]
    assert LiteLLMSuspects(lambda: None).parts(snapshot) == []


def test_everything_that_can_be_left_out_is_a_part() -> None:
    catalogue = Catalogue()
    p = catalogue.provider("p", "ollama", route_by="deployments")
    m = catalogue.model(p, "m")
    alias, function, mapping = catalogue.alias(m, "a"), catalogue.function(), catalogue.mapping(m)
    deployment = catalogue.deployment(m)
    snapshot = catalogue.snapshot()
    assert [part.row_id for part in SUSPECTS.parts(snapshot)] == [m, deployment, alias, function, mapping]
    assert SUSPECTS.owner(snapshot, Part("models", m)) == Part("model_providers", p)
