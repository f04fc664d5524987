"""Everything that the guard refuses, and what the real gateway does with it.

A unit test checks the guard, an acceptance test the gateway.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from model_registry.entities.change import Operation
from support.catalogues import Catalogue

Outcome = Literal["refused", "fails", "ignored"]
"""The gateway refuses it; loads it and fails at the call; loads and ignores it."""


@dataclass(frozen=True)
class Refusal:
    """One write that the guard refuses, on top of `good_catalogue`."""

    name: str
    write: Callable[[Catalogue, dict[str, str]], object]
    says: str
    """Words of the reason."""
    outcome: Outcome = "refused"
    shown: str = ""
    """The text to load if rendering would omit the fault; empty: the rendered configuration."""


def good_catalogue() -> tuple[Catalogue, dict[str, str]]:
    """A server with a chat and an embedding model, and functions on them. Returns the ids by name."""
    catalogue = Catalogue()
    local = catalogue.provider("local")
    m = catalogue.model(local, "m")
    e = catalogue.model(local, "e", model_type="embedding")
    catalogue.alias(m, "other_name")
    catalogue.function("chat")
    catalogue.function("extract", type="json")
    v = catalogue.mapping(m, "v")
    return catalogue, {"local": local, "m": m, "e": e, "v": v}


Write = Callable[[Catalogue, dict[str, str]], object]


def _provider_table(lines: str, name: str = "x") -> str:
    return f'["models"."{name}"]\nrouting = ["p"]\n["models"."{name}".providers.p]\n{lines}\n'


def _provider(**columns: Any) -> Write:
    def write(catalogue: Catalogue, _: dict[str, str]) -> None:
        catalogue.model(catalogue.provider("new", **columns), "x")

    return write


def _model(**columns: Any) -> Write:
    return lambda catalogue, ids: catalogue.model(ids["local"], **{"name": "x", **columns})


def _extras(**keys: Any) -> Write:
    return _model(tensorzero={"provider": keys})


def _mapping(function_name: str = "chat", model: str = "m", **columns: Any) -> Write:
    return lambda catalogue, ids: catalogue.mapping(
        ids[model], **{"variant_name": "w", **columns}, function_name=function_name
    )


def _variant(**keys: Any) -> Write:
    return _mapping(tensorzero=keys)


def _function(**keys: Any) -> Write:
    def write(catalogue: Catalogue, ids: dict[str, str]) -> None:
        catalogue.function("new", tensorzero=keys)
        catalogue.mapping(ids["m"], "v", function_name="new")

    return write


def _own_variant(**keys: Any) -> Write:
    return _function(variants={"b": keys})


def _update(table: str, which: str, **columns: Any) -> Write:
    def write(catalogue: Catalogue, ids: dict[str, str]) -> None:
        catalogue.operations.append(Operation(table, "update", ids[which], columns))

    return write


def _section(name: str, value: Any) -> Write:
    def write(catalogue: Catalogue, _: dict[str, str]) -> None:
        catalogue.operations.append(Operation("config_sections", "insert", "s1", {"name": name, "value": value}))

    return write


def _second_row(first: dict[str, Any], second: dict[str, Any]) -> Write:
    def write(catalogue: Catalogue, ids: dict[str, str]) -> None:
        catalogue.model(ids["local"], "x", tensorzero=first)
        catalogue.model(catalogue.provider("second"), "x", tensorzero=second)

    return write


def _alias(alias: str, context: str | None = None) -> Write:
    def write(catalogue: Catalogue, ids: dict[str, str]) -> None:
        catalogue.alias(catalogue.model(ids["local"], "x"), alias, context)

    return write


_HERE = "http://openai-compatible.example/v1"
_OPENAI = 'type = "openai"\nmodel_name = "x"\napi_key_location = "none"\n'
_COST = {"pointer": "/usage/x", "cost_per_unit": 1.0}
_BEST = {"type": "experimental_best_of_n_sampling", "evaluator": {"model": "m"}}
_SHORTHAND = _provider_table(_OPENAI, "openai::gpt")
_CLASH = f'{_provider_table(_OPENAI)}["models"."x"]\nrouting = []\n'
_TWICE = f"{_provider_table(_OPENAI)}[models.x.providers.p]\n{_OPENAI}"

REFUSALS = (
    # Providers
    Refusal(
        "no base URL",
        _provider(type="vllm", api_base=None),
        "has no api_base",
        shown=_provider_table('type = "vllm"\nmodel_name = "x"\napi_key_location = "none"'),
    ),
    Refusal(
        "base URL without a key for it",
        _provider(type="deepseek", api_base=_HERE),
        "openai_compatible",
        shown=_provider_table(f'type = "deepseek"\nmodel_name = "x"\napi_base = "{_HERE}"'),
    ),
    Refusal(
        "key where none goes",
        _provider(
            type="aws_sagemaker", api_key_env_var="A_KEY", tensorzero={"region": "us-east-1", "hosted_provider": "tgi"}
        ),
        "no key for it",
        shown=_provider_table(
            'type = "aws_sagemaker"\nendpoint_name = "x"\nmodel_name = "x"\n'
            'region = "us-east-1"\nhosted_provider = "tgi"\napi_key_location = "env::A_KEY"'
        ),
    ),
    Refusal("unknown provider key", _provider(tensorzero={"regoin": "x"}), "regoin: is not a key"),
    Refusal(
        "unknown key of an inactive row",
        _model(active=False, tensorzero={"provider": {"zzz": 1}}),
        "zzz: is not a key",
        shown=_provider_table(f"{_OPENAI}zzz = 1"),
    ),
    Refusal("no region", _provider(type="aws_bedrock"), "'region' is missing"),
    Refusal(
        "no hosted provider",
        _provider(type="aws_sagemaker", tensorzero={"region": "us-east-1"}),
        "'hosted_provider' is missing",
    ),
    Refusal("no location and project", _provider(type="gcp_vertex_gemini"), "'location' is missing"),
    Refusal(
        "half a pair of AWS keys",
        _provider(type="aws_bedrock", tensorzero={"region": "us-east-1", "access_key_id": "env::A"}),
        "needs both",
    ),
    Refusal(
        "two kinds of AWS keys",
        _provider(
            type="aws_bedrock",
            api_key_env_var="K",
            tensorzero={"region": "us-east-1", "access_key_id": "env::A", "secret_access_key": "env::B"},
        ),
        "excludes",
    ),
    Refusal(
        "AWS keys from two kinds of source",
        _provider(
            type="aws_bedrock",
            tensorzero={"region": "us-east-1", "access_key_id": "env::A", "secret_access_key": "dynamic::B"},
        ),
        "same kind of source",
    ),
    Refusal(
        "none where the type needs a key",
        _provider(type="anthropic", tensorzero={"api_key_location": "none"}),
        "must say where the key is",
    ),
    Refusal("a key instead of its place", _extras(api_key_location="sk-1234"), "must say where the key is"),
    Refusal(
        "Google's key in a variable",
        _provider(
            type="gcp_vertex_gemini", tensorzero={"location": "l", "project_id": "p", "credential_location": "env::X"}
        ),
        "must say where the key is",
    ),
    Refusal("old form of a key's place", _extras(api_key_location={"env": "X"}), "'default' is missing"),
    Refusal("relative base URL", _extras(api_base="h.example/v1"), "whole http"),
    Refusal("websocket base URL", _extras(api_base="ws://openai-compatible.example/v1"), "whole http", "fails"),
    Refusal("base URL without a scheme", _extras(api_base="localhost:8000"), "whole http", "fails"),
    Refusal("variable as base URL", _extras(api_base="env::X"), "whole http", "fails"),
    Refusal(
        "whole path as base URL", _provider(api_base=f"{_HERE}/chat/completions"), "the gateway adds itself", "fails"
    ),
    Refusal("provider tools without the responses API", _extras(provider_tools=[{"type": "web_search"}]), "api_type"),
    Refusal("encrypted reasoning without it", _extras(include_encrypted_reasoning=True), "api_type"),
    Refusal("unknown API", _extras(api_type="completions"), "must be one of"),
    # Prices, bodies, headers
    Refusal("price without a pointer", _extras(cost=[{"cost_per_unit": 1.0}]), "pointer"),
    Refusal("price with two units", _extras(cost=[{**_COST, "cost_per_million": 1.0}]), "exactly one"),
    Refusal("pointer without a slash", _extras(cost=[{"pointer": "usage", "cost_per_unit": 1.0}]), "JSON pointer"),
    Refusal("unknown key of a price", _extras(cost=[{**_COST, "currency": "EUR"}]), "silently ignores", "ignored"),
    Refusal("body without a value", _extras(extra_body=[{"pointer": "/x"}]), "needs a value"),
    Refusal("delete = false", _extras(extra_headers=[{"name": "a", "delete": False}]), "must be true"),
    Refusal("header without a name", _extras(extra_headers=[{"value": "b"}]), "'name' is missing"),
    Refusal("header that is a number", _extras(extra_headers=[{"name": "a", "value": 1}]), "must be a string"),
    # Models
    Refusal("unknown model key", _model(tensorzero={"model": {"retries": {}}}), "retries: is not a key"),
    Refusal("unknown key of the column", _model(tensorzero={"modle": {}}), "known here: model", "ignored"),
    Refusal("routing by hand", _model(tensorzero={"model": {"routing": []}}), "comes from the rows", "ignored"),
    Refusal(
        "the model's name twice",
        _model(tensorzero={"provider": {"model_name": "y"}}),
        "model_id; set it there",
        "ignored",
    ),
    Refusal(
        "timeout of 0", _model(tensorzero={"model": {"timeouts": {"non_streaming": {"total_ms": 0}}}}), "is 0", "fails"
    ),
    Refusal("negative timeout", _model(tensorzero={"model": {"timeouts": {"streaming": {"ttft_ms": -1}}}}), "above 0"),
    Refusal("fractional timeout", _extras(timeouts={"non_streaming": {"total_ms": 1.5}}), "whole number"),
    Refusal(
        "timeout above the limit",
        _model(tensorzero={"model": {"timeouts": {"non_streaming": {"total_ms": 900_001}}}}),
        "is longer than",
    ),
    Refusal(
        "limit below a timeout",
        lambda c, ids: (
            _model(tensorzero={"model": {"timeouts": {"non_streaming": {"total_ms": 5000}}}})(c, ids),
            _section("gateway", {"global_outbound_http_timeout_ms": 1000})(c, ids),
        ),
        "is longer than",
    ),
    Refusal("empty namespace", _model(tensorzero={"model": {"namespace": ""}}), "not empty"),
    Refusal(
        "reserved name",
        lambda c, _: c.model(c.provider("new", "vllm"), "vllm::x"),
        "keeps names",
        shown=_provider_table(_OPENAI, "vllm::x"),
    ),
    Refusal(
        "shorthand of another type",
        _model(name="openai::gpt", model_id="gpt"),
        "not openai_compatible",
        shown=_SHORTHAND,
    ),
    Refusal(
        "shorthand of another model",
        lambda c, _: c.model(c.provider("new", "openai"), "openai::gpt", model_id="other"),
        "not other",
        shown=_SHORTHAND,
    ),
    Refusal(
        "shorthand at an own address",
        lambda c, _: c.model(c.provider("new", "openai", api_base=_HERE), "openai::gpt", model_id="gpt"),
        "ignores the api_base",
        shown=_SHORTHAND,
    ),
    Refusal(
        "shorthand with further keys",
        lambda c, _: c.model(
            c.provider("new", "openai", tensorzero={"api_type": "responses"}), "openai::gpt", model_id="gpt"
        ),
        "no further keys",
        shown=_SHORTHAND,
    ),
    Refusal(
        "embedding at a type that cannot",
        lambda c, _: c.model(c.provider("new", "mistral"), "x", model_type="embedding"),
        "cannot embed",
        shown=_provider_table('type = "mistral"\nmodel_name = "x"').replace("models", "embedding_models"),
    ),
    Refusal(
        "chat timeouts on an embedding model",
        _model(model_type="embedding", tensorzero={"model": {"timeouts": {}}}),
        "timeout_ms",
    ),
    Refusal(
        "one provider key twice",
        _second_row({"provider_key": "k"}, {"provider_key": "k"}),
        "provider key k already",
        shown=_TWICE,
    ),
    Refusal(
        "rows that contradict each other",
        _second_row({"model": {"skip_relay": True}}, {"model": {"skip_relay": False}}),
        "different things",
        "ignored",
    ),
    Refusal("alias that is a model's name", _alias("m"), "a model has this name", shown=_CLASH),
    Refusal("alias of two models", _alias("other_name", "tensorzero"), "is an alias of m already", shown=_CLASH),
    # Variants
    Refusal("unknown variant key", _variant(temprature=1), "did you mean 'temperature'"),
    Refusal("unknown variant type", _variant(type="chat"), "must be one of"),
    Refusal("text for a number", _variant(temperature="hot"), "must be a number"),
    Refusal("negative tokens", _variant(max_tokens=-1), "whole number"),
    Refusal("unknown service tier", _variant(service_tier="fast"), "must be one of"),
    Refusal("unknown key of retries", _variant(retries={"times": 2}), "silently ignores", "ignored"),
    Refusal("weight beside the mapping's", _variant(weight=1.0), "a column of its own"),
    Refusal("json mode in a chat function", _variant(json_mode="strict"), "only for json"),
    Refusal("no json mode in a json function", _mapping("extract"), "add json_mode"),
    Refusal("variant in a namespace", _variant(namespace="n"), "belongs to the namespace"),
    Refusal(
        "model in a namespace",
        _update("models", "m", tensorzero={"model": {"namespace": "n"}}),
        "belongs to the namespace",
    ),
    Refusal("template that is not there", _variant(system_template="no/such.minijinja"), "holds no file"),
    Refusal("template as text", _variant(system_template={"content": "x"}), "path of a file"),
    Refusal("best of a variant that is not there", _own_variant(**_BEST, candidates=["nobody"]), "no variant 'nobody'"),
    Refusal("best of itself", _own_variant(**_BEST, candidates=["b"]), "leads back to itself"),
    Refusal(
        "judge that is not there",
        _own_variant(type=_BEST["type"], candidates=["v"], evaluator={"model": "nobody"}),
        "not in the configuration",
    ),
    Refusal(
        "judge that embeds",
        _own_variant(type=_BEST["type"], candidates=["v"], evaluator={"model": "e"}),
        "embedding model",
    ),
    Refusal(
        "own variant named like a mapping",
        _function(variants={"v": {**_BEST, "candidates": ["v"]}}),
        "has this name already",
        shown="[functions.f]\n[functions.f]\n",
    ),
    Refusal(
        "stand-in named like a variant",
        lambda c, ids: (
            c.mapping(ids["m"], "w", fallback_model_id=c.model(ids["local"], "x")),
            c.mapping(ids["m"], "w_fallback"),
        ),
        "has this name already",
        shown="[functions.f]\n[functions.f]\n",
    ),
    # Functions
    Refusal("unknown function key", _function(timeout=1), "timeout: is not a key"),
    Refusal("type by hand", _function(type="json"), "a column of its own", "ignored"),
    Refusal("tool that is not there", _function(tools=["t"]), "tool 't'"),
    Refusal("tool choice of old", _function(tool_choice="off"), "must be none"),
    Refusal("evaluator's name", _function(evaluators={"a::b": {"type": "exact_match"}}), "'::'"),
    Refusal("no weight at all", _mapping("alone", weight=0.0), "every weight is 0"),
    Refusal("the last weight goes", _update("service_model_mappings", "v", weight=0.0), "every weight is 0"),
    Refusal(
        "experiment with a variant that is not there",
        _function(experimentation={"type": "static", "candidate_variants": ["w"]}),
        "no variant 'w'",
    ),
    Refusal(
        "experiment with a negative weight",
        _function(experimentation={"type": "static", "candidate_variants": {"v": -1.0}}),
        "from 0 up",
    ),
    Refusal("experiment of no kind", _function(experimentation={"type": "dynamic"}), "must be one of"),
    Refusal(
        "experiment that names a variant twice",
        _function(experimentation={"type": "static", "candidate_variants": {"v": 1.0}, "fallback_variants": ["v"]}),
        "candidate already",
    ),
    Refusal(
        "unknown key of an experiment",
        _function(experimentation={"type": "static", "candidate_variants": {"v": 1.0}, "seed": 1}),
        "silently ignores",
        "ignored",
    ),
    # Sections
    Refusal("unknown section", _section("model", {}), "no section", shown="[model]\n"),
    Refusal("section that is rows", _section("models", {}), "as rows", "ignored"),
    Refusal("unknown gateway key", _section("gateway", {"port": 3000}), "port: is not a key"),
    Refusal("limit of 0", _section("gateway", {"global_outbound_http_timeout_ms": 0}), "is 0", "fails"),
)
