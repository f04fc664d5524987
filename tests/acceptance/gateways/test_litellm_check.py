"""LiteLLM's own Router validates what the registry renders, in a process that is shut in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from model_registry.entities.gateway import Gateway
from model_registry.gateways.litellm.rendering.render import LiteLLMRenderer
from model_registry.gateways.litellm.validation.checker import LiteLLMChecker
from support.catalogues import Catalogue, stored

EDGE = Gateway(id="g", name="edge", kind="litellm", content_of="edge")


@pytest.fixture(scope="module")
def checker() -> Iterator[LiteLLMChecker]:
    made = LiteLLMChecker()
    yield made
    made.close()


def found(checker: LiteLLMChecker, **tree: Any) -> list[str]:
    files = {"config.yaml": yaml.safe_dump(tree).encode()}
    return [str(reason) for reason in checker.check_now(files, loader=True).reasons]


def entry(name: str, model: str, **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model, **params}}


def test_a_real_catalogue_is_accepted(checker: LiteLLMChecker) -> None:
    rendered = LiteLLMRenderer().render(stored().snapshot(), EDGE)
    findings = checker.check_now(rendered.files, loader=True)
    assert (findings.accepted, findings.by_loader, findings.warnings) == (True, True, ())
    assert str(checker.loader).startswith("litellm 1.")


def test_what_the_proxy_would_drop_without_a_word_is_refused_by_its_id(checker: LiteLLMChecker) -> None:
    catalogue = Catalogue()
    provider = catalogue.provider("p", litellm={"prefix": "nosuch"})
    m = catalogue.model(provider, "m")
    rendered = LiteLLMRenderer().render(catalogue.snapshot(), EDGE)
    [reason] = checker.check_now(rendered.files, loader=True).reasons
    assert reason.where == f"model_list.m.{m}"
    assert "LiteLLM refuses it: LLM Provider NOT provided" in reason.message


def test_one_refused_entry_of_many_is_found_and_the_others_are_not_judged_again(checker: LiteLLMChecker) -> None:
    good = [entry(f"m{number}", "groq/x") for number in range(5)]
    assert [reason[:15] for reason in found(checker, model_list=[*good, entry("bad", "odd/x")])] == ["model_list.bad:"]
    assert found(checker, model_list=good) == []


def test_settings_that_end_the_start_are_refused(checker: LiteLLMChecker) -> None:
    [reason] = found(checker, model_list=[], router_settings={"routing_strategy": "quickest"})
    assert reason.startswith("router_settings: LiteLLM refuses them: Invalid routing_strategy")


def test_settings_that_it_ignores_are_named(checker: LiteLLMChecker) -> None:
    text = b"model_list: []\nrouter_settings: {num_retrys: 3}\n"
    findings = checker.check_now({"config.yaml": text}, loader=True)
    assert [str(warning) for warning in findings.warnings] == [
        "router_settings.num_retrys: LiteLLM ignores this: its Router knows no such setting"
    ]


def test_keys_and_addresses_in_variables_are_no_fault(checker: LiteLLMChecker) -> None:
    here = "os.environ/"
    listed = [
        entry("a", f"{here}MODEL"),
        entry("b", "azure/x", api_base=f"{here}BASE", api_key=f"{here}KEY", api_version="2024-10-21"),
        entry("c", "vertex_ai/x", vertex_credentials=f"{here}FILE"),
        entry("*", "openai/*", api_key=f"{here}KEY"),
        entry("own", "mine/x"),
    ]
    mine = {"custom_provider_map": [{"provider": "mine", "custom_handler": "code.handler"}]}
    assert found(checker, model_list=listed, litellm_settings=mine) == []


def test_code_that_a_configuration_names_is_not_run(checker: LiteLLMChecker) -> None:
    settings = {"plugins": ["os.abort"], "redis_host": "127.0.0.1", "redis_port": 9}
    assert found(checker, model_list=[entry("m", "groq/x")], router_settings=settings) == []


def test_the_rules_alone_decide_where_litellm_is_not_asked() -> None:
    checker = LiteLLMChecker(ask_litellm=False)
    try:
        files = {"config.yaml": yaml.safe_dump({"model_list": [entry("m", "odd/x")]}).encode()}
        findings = checker.check_now(files, loader=True)
        assert (checker.loader, findings.accepted, findings.by_loader) == (None, True, False)
        assert not checker.check_now({"config.yaml": b"["}, loader=False).accepted
    finally:
        checker.close()


def test_a_check_that_takes_too_long_is_ended_and_is_no_verdict_on_the_configuration() -> None:
    checker = LiteLLMChecker(timeout_s=0.01)
    try:
        assert checker.check_now({"config.yaml": b"model_list: []"}, loader=True).crashed
    finally:
        checker.close()
