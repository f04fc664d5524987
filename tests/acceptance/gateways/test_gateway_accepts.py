"""What the real gateway does with configurations that the registry renders, and with those that the guard refuses."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given

from model_registry.entities.provider_types import GATEWAY_TYPES, PROVIDER_TYPES
from model_registry.gateways.tensorzero.rendering.render import render
from model_registry.gateways.tensorzero.rules import check_configuration
from model_registry.gateways.tensorzero.validation.gateway_process import GatewayAnswer, GatewayProcess
from support.catalogues import Catalogue, stored
from support.drawn import Drawn, catalogues
from support.gateway_client import CallFailed, Gateway
from support.refusals import REFUSALS, Refusal, good_catalogue
from support.stub_servers import StubModelServer

PING = {"messages": [{"role": "user", "content": "ping"}]}

REQUIRED = {
    "aws_bedrock": {"region": "us-east-1"},
    "aws_sagemaker": {"region": "us-east-1", "hosted_provider": "tgi"},
    "gcp_vertex_anthropic": {"location": "europe-west4", "project_id": "p"},
    "gcp_vertex_gemini": {"location": "europe-west4", "project_id": "p"},
}
ODD_NAMES = (
    "a/b.c:d",
    "ünï→😀",
    'quo"ted\\',
    "with spaces",
    "[models.x]",
    "#",
    "'",
    "a=b",
    "Openai::x",
    "x::y",
    "-",
    "1.5",
)


@pytest.fixture(scope="module")
def gateway_process() -> Iterator[GatewayProcess]:
    with GatewayProcess() as gateway_process:
        yield gateway_process


def answer(gateway_process: GatewayProcess, catalogue: Catalogue) -> GatewayAnswer:
    return gateway_process.validate(render(catalogue.snapshot()).text)


@pytest.mark.parametrize("key", [None, "SOME_KEY"])
@pytest.mark.parametrize("kind", sorted(PROVIDER_TYPES.keys() - {"custom"}))
def test_a_provider_of_every_type_loads(gateway_process: GatewayProcess, kind: str, key: str | None) -> None:
    if kind == "aws_sagemaker":
        key = None
    catalogue = Catalogue()
    provider = catalogue.provider("p", kind, api_key_env_var=key, tensorzero=REQUIRED.get(kind, {}))
    catalogue.mapping(catalogue.model(provider, "m"))
    text = render(catalogue.snapshot()).text
    assert gateway_process.validate(text) == GatewayAnswer(accepted=True)
    assert ("::SOME_KEY" in text) == (key is not None)


@pytest.mark.parametrize("kind", sorted(GATEWAY_TYPES))
def test_the_types_that_can_embed_load_as_embedding_models_and_the_others_are_refused(
    gateway_process: GatewayProcess, kind: str
) -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("p", kind, tensorzero=REQUIRED.get(kind, {})), "m")
    text = render(catalogue.snapshot()).text.replace("[models", "[embedding_models")
    assert gateway_process.validate(text).accepted == GATEWAY_TYPES[kind].embeddings


@pytest.mark.parametrize("kind", sorted(name for name, kind in GATEWAY_TYPES.items() if kind.base_key))
def test_every_type_takes_its_base_url_under_the_key_we_know(gateway_process: GatewayProcess, kind: str) -> None:
    catalogue = Catalogue()
    provider = catalogue.provider("p", kind, api_base="https://base.example/v1", tensorzero=REQUIRED.get(kind, {}))
    catalogue.model(provider, "m")
    text = render(catalogue.snapshot()).text
    assert f'{GATEWAY_TYPES[kind].base_key} = "https://base.example/v1"' in text
    assert answer(gateway_process, catalogue).accepted


@pytest.mark.parametrize("kind", sorted(GATEWAY_TYPES))
def test_the_gateway_names_the_keys_we_know_for_a_type(gateway_process: GatewayProcess, kind: str) -> None:
    """The table of provider types equals the gateway's, which lists its keys when it finds an unknown one."""
    text = f'[models.m]\nrouting = ["p"]\n[models.m.providers.p]\ntype = "{kind}"\nzzz = 1\n'
    message = gateway_process.validate(text).message or ""
    assert set(message.partition("expected")[2].split("`")[1::2]) == GATEWAY_TYPES[kind].own_keys


@pytest.mark.parametrize("kind", sorted(GATEWAY_TYPES))
def test_shorthands_of_a_type_need_no_table_or_do_not_exist(gateway_process: GatewayProcess, kind: str) -> None:
    if not GATEWAY_TYPES[kind].shorthand:
        assert not gateway_process.validate(_function_on(f"{kind}::x")).accepted
        return
    catalogue = Catalogue()
    model = catalogue.model(catalogue.provider("p", kind), f"{kind}::x", model_id="x")
    catalogue.mapping(model)
    assert "[models" not in render(catalogue.snapshot()).text
    assert answer(gateway_process, catalogue) == GatewayAnswer(accepted=True)


def _function_on(model: str) -> str:
    variant = f'[functions.f.variants.v]\ntype = "chat_completion"\nmodel = "{model}"\n'
    return f'[functions.f]\ntype = "chat"\n{variant}'


def test_several_providers_of_one_model_aliases_and_shorthands_load_together(gateway_process: GatewayProcess) -> None:
    catalogue = Catalogue()
    first, second = catalogue.provider("first"), catalogue.provider("second", "vllm")
    m = catalogue.model(
        first, "m", routing_priority=2, tensorzero={"model": {"timeouts": {"streaming": {"ttft_ms": 9}}}}
    )
    catalogue.model(second, "m", tensorzero={"provider_key": "rack", "provider": {"discard_unknown_chunks": True}})
    e = catalogue.model(first, "e", model_type="embedding")
    hosted = catalogue.model(catalogue.provider("third", "openai"), "openai::responses::gpt-5", model_id="gpt-5")
    for model, alias in ((m, "default"), (e, "default"), (hosted, "smart")):
        catalogue.alias(model, alias, {m: None, e: "default", hosted: "tensorzero"}[model])
    catalogue.mapping(m, "v", fallback_model_id=hosted)
    assert answer(gateway_process, catalogue) == GatewayAnswer(accepted=True)


def test_odd_names_load_everywhere(gateway_process: GatewayProcess) -> None:
    catalogue = Catalogue()
    for number, name in enumerate(ODD_NAMES):
        model = catalogue.model(catalogue.provider(name), name, model_id=name)
        catalogue.model(catalogue.provider(f"{number} embeds"), name, model_type="embedding")
        catalogue.alias(model, f"{name} too")
        catalogue.mapping(model, name, service_name=name, function_name=name)
        catalogue.model(catalogue.provider(f"{name}\u2028off", active=False), f"{name} off")
    assert answer(gateway_process, catalogue) == GatewayAnswer(accepted=True)


@pytest.mark.parametrize(
    "shares",
    [
        [(1, 1.0)],
        [(1, 0.25), (1, 0.75)],
        [(1, 0.0), (1, 1e300)],
        [(1, 1.0), (2, 0.0), (3, 5.0)],
        [(-5, 0.0), (2, 0.0)],
        [(1, 5e-324), (1, 1e300), (2, 1.0), (2, 1.0)],
    ],
)
@pytest.mark.parametrize("stand_in", [False, True])
def test_priorities_and_weights_load_in_every_shape(
    gateway_process: GatewayProcess, shares: list[tuple[int, float]], *, stand_in: bool
) -> None:
    catalogue = Catalogue()
    local = catalogue.provider()
    other = catalogue.model(local, "other")
    for number, (priority, weight) in enumerate(shares):
        fallback = other if stand_in else None
        model = catalogue.model(local, f"m{number}")
        catalogue.mapping(model, f"v{number}", priority=priority, weight=weight, fallback_model_id=fallback)
    assert answer(gateway_process, catalogue) == GatewayAnswer(accepted=True)


def test_variants_of_every_type_load(gateway_process: GatewayProcess) -> None:
    catalogue = Catalogue()
    local = catalogue.provider()
    m = catalogue.model(local, "m")
    catalogue.model(local, "e", model_type="embedding")
    of_n = {"candidates": ["plain", "examples"]}
    best = {"type": "experimental_best_of_n_sampling", **of_n, "evaluator": {"model": "m"}}
    mixture = {"type": "experimental_mixture_of_n", **of_n, "fuser": {"model": "m", "json_mode": "on"}}
    examples = {"type": "experimental_dynamic_in_context_learning", "embedding_model": "e", "k": 3}
    thinking = {"type": "experimental_chain_of_thought", "json_mode": "on"}
    for name, kind, mode in (("chat", "chat", {}), ("extract", "json", {"json_mode": "strict"})):
        catalogue.function(name, type=kind, tensorzero={"variants": {"best": best, "mixture": mixture}})
        catalogue.mapping(m, "plain", function_name=name, tensorzero=mode)
        catalogue.mapping(m, "examples", function_name=name, tensorzero=examples | mode)
    catalogue.mapping(m, "thinking", function_name="extract", tensorzero=thinking)
    snapshot = catalogue.snapshot()
    text = render(snapshot).text
    assert gateway_process.validate(text).accepted
    assert not check_configuration(tomllib.loads(text))


def test_a_production_catalogue_loads(gateway_process: GatewayProcess) -> None:
    assert answer(gateway_process, stored()) == GatewayAnswer(accepted=True)


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.name)
def test_what_the_guard_refuses_the_gateway_refuses_or_cannot_use(
    gateway_process: GatewayProcess, case: Refusal, tmp_path: Path
) -> None:
    catalogue, ids = good_catalogue()
    assert answer(gateway_process, catalogue).accepted
    case.write(catalogue, ids)
    text = case.shown or render(catalogue.snapshot()).text
    assert gateway_process.validate(text).accepted == (case.outcome != "refused"), gateway_process.validate(text)
    if case.outcome == "fails":
        with StubModelServer("stub") as stub, Gateway(_at(stub, text), tmp_path) as gateway, pytest.raises(CallFailed):
            _ask_often(gateway, _target(text, "x"))


def _ask_often(gateway: Gateway, target: dict[str, str]) -> None:
    """With a timeout of 0, a response that is already available still succeeds."""
    for _ in range(10):
        gateway.inference(**target, input=PING)


@pytest.mark.parametrize("name", ["m", "x", "other_name", "svc_chat"])
def test_what_the_guard_lets_through_answers(name: str, tmp_path: Path) -> None:
    catalogue, ids = good_catalogue()
    catalogue.model(ids["local"], "x")
    text = render(catalogue.snapshot()).text
    with StubModelServer("stub") as stub, Gateway(_at(stub, text), tmp_path) as gateway:
        target = {"function_name": name} if name == "svc_chat" else {"model_name": name}
        answer, _ = gateway.inference(**target, input=PING)
        assert answer == stub.answer_to("x-id" if name == "x" else "m-id")


def _at(stub: StubModelServer, text: str) -> str:
    return text.replace("openai-compatible.example", stub.api_base.split("/")[2])


def _target(text: str, model: str) -> dict[str, str]:
    """The new function, where the case made one."""
    return {"function_name": "svc_new"} if "svc_new" in text else {"model_name": model}


@given(drawn=catalogues())
def test_any_catalogue_that_the_guard_accepts_loads(gateway_process: GatewayProcess, drawn: Drawn) -> None:
    assert gateway_process.validate(render(drawn.snapshot).text).message is None
