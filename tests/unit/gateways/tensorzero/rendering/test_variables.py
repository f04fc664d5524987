"""A configuration says which environment variables it names, and for whom."""

from __future__ import annotations

from model_registry.entities.change import Operation
from model_registry.gateways.kind import Variable
from model_registry.gateways.tensorzero.rendering.render import RenderCache, render
from support.catalogues import Catalogue


def test_a_variable_is_named_with_all_who_need_it() -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("free"), "a")
    for name in ("b", "a"):
        catalogue.model(catalogue.provider(name, "openai", api_key_env_var="SHARED"), "m")
    catalogue.model(catalogue.provider("unused", "mistral", active=False), "m")
    judge = {"type": "llm_judge", "variants": {"v": {"model": "anthropic::c", "system_instructions": "t"}}}
    catalogue.function(tensorzero={"evaluators": {"e": judge}})
    catalogue.mapping(catalogue.model(catalogue.provider("mistral", "mistral"), "c"))
    assert render(catalogue.snapshot()).variables == (
        Variable("ANTHROPIC_API_KEY", ("function svc_chat",)),
        Variable("MISTRAL_API_KEY", ("provider mistral",)),
        Variable("SHARED", ("provider a", "provider b")),
    )


def test_sections_name_variables() -> None:
    catalogue = Catalogue()
    relay = {"relay": {"gateway_url": "http://h", "api_key_location": "env::RELAY"}}
    judge = {"evaluators": {"j": {"type": "llm_judge", "variants": {"v": {"model": "xai::grok"}}}}}
    for name, value in (("gateway", relay), ("evaluations", {"e": judge})):
        catalogue.operations.append(Operation("config_sections", "insert", name, {"name": name, "value": value}))
    assert render(catalogue.snapshot()).variables == (
        Variable("RELAY", ("gateway.relay",)),
        Variable("XAI_API_KEY", ("evaluation e",)),
    )


def test_the_text_begins_with_them() -> None:
    catalogue = Catalogue()
    for number in range(7):
        catalogue.model(catalogue.provider(f"p{number}", "openai", api_key_env_var="SHARED"), "m")
    _, title, line, blank, *_ = render(catalogue.snapshot()).text.splitlines()
    assert title == "# Must be set where the gateway runs:"
    assert line == "#   SHARED: provider p0, provider p1, provider p2, provider p3, provider p4 and 2 more"
    assert blank == ""


def test_a_configuration_that_needs_none_says_nothing() -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider(), "m")
    rendered = render(catalogue.snapshot())
    assert rendered.variables == ()
    assert "Must be set" not in rendered.text


def test_a_variable_goes_with_the_last_who_needs_it() -> None:
    catalogue, cache = Catalogue(), RenderCache()
    provider = catalogue.provider("p", "openai", api_key_env_var="X")
    catalogue.model(provider, "m")
    assert render(catalogue.snapshot(), cache).variables == (Variable("X", ("provider p",)),)
    without = catalogue.snapshot().preview(
        [Operation("model_providers", "update", provider, {"api_key_env_var": None})]
    )
    assert render(without, cache).variables == ()
