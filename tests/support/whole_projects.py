"""Whole projects drawn from the table of keys that the gateway accepts: every table, every key, files and odd names."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Tree = dict[str, Any]
Draw = st.SearchStrategy[Any]

NAMES = ["a", "b.c", "d/e f", "g:h", "ü 😀", "q\"u'o\\te", "[x]", "#y", "-1", "true", "x" * 120]
FILES = {
    "t/one.txt": "Hello {{ name }}\r\n\ttab",
    "t/two.minijinja": "",
    "t/ü b.txt": "\ufeffÜ 😀\n\n",
    "s/one.json": '{"type": "object", "multipleOf": 1.0}',
    "s/two.json": "{}\n",
}
TEMPLATES = st.sampled_from(["t/one.txt", "t/two.minijinja", "t/ü b.txt"])
SCHEMAS = st.sampled_from(["s/one.json", "s/two.json"])
names = st.sampled_from(NAMES)
texts = st.sampled_from(["", "x", "a\nb", "ü\t", 'say "hi"', "\\"])
numbers = st.sampled_from([0, 1, -3, 0.0, 1.0, 0.1, -2.5, 1e-7, 3.0e10])
counts = st.integers(0, 2**31 - 1)
flags = st.booleans()
values = st.recursive(
    st.sampled_from([1, 1.0, True, "x", -5, 1e16, 2.5e20, 1e-300, 9007199254740993]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)
milliseconds = st.integers(1, 900_000)


def table(required: dict[str, Draw] | None = None, /, **optional: Draw) -> Draw:
    """A table with required and optional keys."""
    return st.fixed_dictionaries(required or {}, optional=optional)


timeouts = table(
    non_streaming=table(total_ms=milliseconds), streaming=table(ttft_ms=milliseconds, total_ms=milliseconds)
)
extra_body = st.lists(table({"pointer": texts, "value": values}, variant_name=texts), max_size=2)
extra_headers = st.lists(table({"name": texts, "value": texts}), max_size=2)
retries = table(num_retries=counts, max_delay_s=numbers)
cost = st.lists(table({"pointer": st.just("/usage/a"), "cost_per_unit": numbers}, required=flags), max_size=2)
sampling: dict[str, Draw] = {
    "temperature": numbers,
    "top_p": numbers,
    "max_tokens": counts,
    "presence_penalty": numbers,
    "frequency_penalty": numbers,
    "seed": counts,
    "stop_sequences": st.lists(texts, max_size=2),
    "reasoning_effort": st.sampled_from(["low", "high"]),
    "thinking_budget_tokens": counts,
    "verbosity": st.just("low"),
    "retries": retries,
    "extra_body": extra_body,
    "extra_headers": extra_headers,
}
ROLES = ("system", "user", "assistant")
roles: dict[str, Draw] = {f"{role}_template": TEMPLATES for role in ROLES}
prompts: dict[str, Draw] = roles | {
    "templates": st.dictionaries(names, table({"path": TEMPLATES}), max_size=2),
    "input_wrappers": table(system=TEMPLATES, user=TEMPLATES, assistant=TEMPLATES),
    "service_tier": st.sampled_from(["auto", "flex"]),
}
common = {
    "timeouts": timeouts,
    "extra_body": extra_body,
    "extra_headers": extra_headers,
    "cost": cost,
    "batch_cost": cost,
    "discard_unknown_chunks": flags,
}
location = st.sampled_from(["env::SOME_KEY", "dynamic::k", {"default": "dynamic::k", "fallback": "env::K"}])
urls = st.sampled_from(["http://one:1/v1", "http://one:1/v1/", "https://two.example/a"])
region: dict[str, Draw] = {"region": st.sampled_from(["us-east-1", "sdk"])}
place: dict[str, Draw] = {"location": st.just("us-central1"), "project_id": st.just("p")}
model_ids = st.sampled_from(["x", "org/Model-1.5:free", "ü"])
google = st.sampled_from(["sdk", "path_from_env::G", "dynamic::g", "path::/g"])


def _plain(kind: str, required: dict[str, Draw] | None = None, **optional: Draw) -> Draw:
    said = {"type": st.just(kind), "model_name": model_ids} | (required or {})
    return table(said, api_key_location=location, **optional, **common)


providers = st.one_of(
    _plain("openai", api_base=urls, content_type_overrides=st.just({"image/png": "image_url"})),
    _plain("openai", {"api_type": st.just("responses")}, include_encrypted_reasoning=flags, provider_tools=st.just([{}])),  # noqa: E501
    _plain("anthropic", api_base=urls, beta_structured_outputs=flags, provider_tools=st.just([{"a": 1}])),
    _plain("groq", reasoning_format=st.just("parsed")),
    _plain("mistral", prompt_mode=st.just("reasoning")),
    *(_plain(kind, parse_think_blocks=flags) for kind in ("fireworks", "together")),
    *(_plain(kind) for kind in ("deepseek", "google_ai_studio_gemini", "hyperbolic", "openrouter", "xai")),
    *(_plain(kind, {"api_base": urls}) for kind in ("vllm", "sglang")),
    table({"type": st.just("tgi"), "api_base": urls}, api_key_location=location, **common),
    table({"type": st.just("azure"), "deployment_id": model_ids, "endpoint": urls}, api_key_location=location),
    table({"type": st.just("aws_bedrock"), "model_id": model_ids, **region}, endpoint_url=urls, **common),
    table(
        {"type": st.just("aws_sagemaker"), "endpoint_name": model_ids, "model_name": model_ids, **region,
         "hosted_provider": st.just("tgi"), "access_key_id": st.just("env::A"), "secret_access_key": st.just("env::B")},
        session_token=st.just("env::C"),
    ),
    table({"type": st.just("gcp_vertex_anthropic"), "model_id": model_ids, **place}, credential_location=google),
    table({"type": st.just("gcp_vertex_gemini"), "endpoint_id": model_ids, **place}, credential_location=google),
)  # fmt: skip
embedders = st.one_of(
    table(
        {"type": st.just("openai"), "model_name": model_ids},
        api_base=urls, api_key_location=location, timeout_ms=milliseconds, extra_body=extra_body, cost=cost,
    ),
    table({"type": st.just("azure"), "deployment_id": model_ids, "endpoint": urls}),
)  # fmt: skip


@st.composite
def _model(draw: st.DrawFn, offered: Draw, more: Draw) -> Tree:
    found = draw(st.dictionaries(names, offered, min_size=1, max_size=3))
    keys: Tree = draw(more)
    return {"routing": draw(st.permutations(sorted(found))), "providers": found} | keys


models = _model(providers, table(timeouts=timeouts, skip_relay=flags))
embedding_models = _model(embedders, table(timeout_ms=milliseconds))


def _one_active(variants: Tree) -> Tree:
    """The variants of a judge, of which exactly one is used."""
    return {name: variant | {"active": not place} for place, (name, variant) in enumerate(variants.items())}


judges = table(
    {"type": st.just("llm_judge"), "output_type": st.just("float"), "optimize": st.just("max"),
     "variants": st.dictionaries(names, table({
         "type": st.just("chat_completion"), "model": st.just("openai::gpt"), "system_instructions": TEMPLATES,
         "json_mode": st.just("on"),
     }, **sampling), min_size=1, max_size=2).map(_one_active)},
    input_format=st.just("serialized"), cutoff=numbers, description=texts, include=table(reference_output=flags),
)  # fmt: skip
evaluators = st.dictionaries(
    names,
    st.one_of(
        judges,
        table({"type": st.just("exact_match")}, cutoff=numbers),
        table({"type": st.just("regex")}, must_match=texts, must_not_match=texts),
        table({"type": st.just("typescript"), "typescript_file": TEMPLATES}, output_type=st.just("float")),
    ),
    max_size=2,
)


@st.composite
def _function(draw: st.DrawFn, known: list[str], embedders: list[str], tools: list[str]) -> Tree:
    is_json = draw(flags)
    mode: dict[str, Draw] = {"json_mode": st.sampled_from(["on", "strict", "tool", "off"])} if is_json else {}
    model = st.sampled_from([*known, "openai::gpt-4o", "groq::x/y", "openai::responses::gpt-5"])
    chat = table({"type": st.just("chat_completion"), "model": model, **mode}, timeouts=timeouts, **sampling, **prompts)
    kinds = [chat]
    if embedders:
        own = {"type": st.just("experimental_dynamic_in_context_learning"), "model": model, "k": counts, **mode}
        own["embedding_model"] = st.sampled_from(embedders)
        kinds.append(table(own, system_instructions=TEMPLATES, max_distance=numbers, timeouts=timeouts, **sampling))
    if is_json:
        own = {"type": st.just("experimental_chain_of_thought"), "model": model, **mode}
        kinds.append(table(own, **sampling, **prompts))
    variants = draw(st.dictionaries(names, st.one_of(kinds), min_size=1, max_size=3))
    plain = sorted(variants)
    asked = table({"model": model, **mode}, **sampling, **prompts)
    for name, key in (("best", "evaluator"), ("mixed", "fuser")):
        if draw(flags):
            kind = "experimental_best_of_n_sampling" if key == "evaluator" else "experimental_mixture_of_n"
            variants[name] = {"type": kind, "candidates": draw(st.permutations(plain)), key: draw(asked)}
            if draw(flags) and not any("timeouts" in variants[candidate] for candidate in plain):
                variants[name]["timeout_s"] = draw(st.sampled_from([1, 0.5]))
                break
    said: dict[str, Draw] = {f"{role}_schema": SCHEMAS for role in ROLES}
    said |= {"description": texts, "schemas": st.dictionaries(names, table({"path": SCHEMAS}), max_size=2)}
    said |= {"evaluators": evaluators}
    if is_json:
        said["output_schema"] = SCHEMAS
    else:
        chosen = st.sampled_from(["none", "auto", "required", *({"specific": tool} for tool in tools)])
        said |= {"tool_choice": chosen, "parallel_tool_calls": flags}
        said |= {"tools": st.lists(st.sampled_from(tools), unique=True)} if tools else {}
    function: Tree = {"type": "json" if is_json else "chat", "variants": variants} | draw(table(**said))
    _give_templates(function)
    return function | draw(_sharing(variants))


def _give_templates(function: Tree) -> None:
    """One for each schema, in every variant with templates: the gateway requires it."""
    roles = {role for role in ROLES if f"{role}_schema" in function}
    for variant in function["variants"].values():
        sender = variant.get("evaluator", variant.get("fuser", variant))
        if variant["type"] == "experimental_dynamic_in_context_learning":
            continue
        for name in sorted(roles | function.get("schemas", {}).keys()):
            sender.get("input_wrappers", {}).pop(name, None)
            if name not in roles or f"{name}_template" not in sender:
                sender.setdefault("templates", {})[name] = {"path": "t/one.txt"}


@st.composite
def _sharing(draw: st.DrawFn, variants: Tree) -> Tree:  # noqa: PLR0911 (one answer a way)
    """How the variants share the calls, in one of the many possible syntaxes."""
    order = draw(st.permutations(sorted(variants)))
    some = order[: draw(st.integers(1, len(order)))]
    rest = order[len(some) : draw(st.integers(len(some), len(order)))]
    weights = draw(st.fixed_dictionaries(dict.fromkeys(some, st.sampled_from([0.5, 1, 2.0]))))
    match draw(st.sampled_from(["nothing", "weights", "static", "static_weights", "uniform", "adaptive", "spaces"])):
        case "weights":
            for name in some:
                variants[name]["weight"] = draw(st.sampled_from([0, 0.25, 1]))
            return {}
        case "static":
            candidates = draw(st.sampled_from([weights, list(some)]))
            return {"experimentation": {"type": "static", "candidate_variants": candidates, "fallback_variants": rest}}
        case "static_weights":
            return {"experimentation": {"type": "static_weights", "candidate_variants": weights}}
        case "uniform":
            return {"experimentation": {"type": "uniform"} | draw(st.sampled_from([{}, {"candidate_variants": some}]))}
        case "adaptive":
            kind = draw(st.sampled_from(["adaptive", "track_and_stop"]))
            return {"experimentation": {"type": kind, "metric": "good", "candidate_variants": some, "delta": 0.05}}
        case "spaces":
            inner = {"team": {"type": "static", "candidate_variants": weights}}
            return {"experimentation": {"type": "static", "candidate_variants": list(some), "namespaces": inner}}
    return {}


positive = st.sampled_from([0, 1, 0.5, 2.0, 1e-7])
limits = table(
    {"priority": counts, "scope": st.lists(table({"tag_key": texts, "tag_value": texts}), max_size=1)},
    tokens_per_minute=counts | st.fixed_dictionaries({"capacity": counts, "refill_rate": counts}),
    cost_per_day=positive,
)
metric = table({"type": st.just("float"), "optimize": st.just("min"), "level": st.just("episode")}, description=texts)
sections = table(
    {"metrics": st.fixed_dictionaries({"good": metric}, optional={"a.b:c/d-e": metric})},
    gateway=table(
        debug=flags, bind_address=st.just("0.0.0.0:1"), base_path=st.just("/x"), unstable_error_json=flags,
        fetch_and_encode_input_files_before_inference=flags, global_outbound_http_timeout_ms=st.just(900_000),
        observability=table(enabled=flags, async_writes=flags, disable_automatic_migrations=flags),
        template_filesystem_access=table({"base_path": st.sampled_from(["t", ".", "./t/"])}, enabled=flags),
        auth=table({"enabled": flags}), relay=table(gateway_url=st.just("http://x")), export=st.just({"otlp": {"traces": {"enabled": True}}}),  # noqa: E501
    ),
    clickhouse=st.just({}),
    postgres=table(enabled=flags, connection_pool_size=counts, inference_retention_days=counts),
    rate_limiting=table(enabled=flags, default_cost=positive, rules=st.lists(limits, max_size=1)),
    object_storage=st.sampled_from([{"type": "disabled"}, {"type": "filesystem", "path": "x"}]),
    provider_types=st.dictionaries(st.sampled_from(["openai", "groq"]), st.just({"defaults": {"api_key_location": "env::T"}})),  # noqa: E501
    optimizers=st.dictionaries(names, table({"type": st.just("openai_sft"), "model": texts}, n_epochs=counts), max_size=1),  # noqa: E501
    autopilot=table(tool_whitelist=st.lists(texts, max_size=2)),
)  # fmt: skip


@st.composite
def whole_projects(draw: st.DrawFn) -> Tree:
    """The tables of a project. The files that it may refer to are `FILES`."""
    tree: Tree = draw(sections)
    tools = draw(
        st.dictionaries(
            names, table({"description": texts, "parameters": SCHEMAS}, name=texts, strict=flags), max_size=2
        )
    )
    known = draw(st.dictionaries(names, models, min_size=1, max_size=3))
    embed = draw(st.dictionaries(names, embedding_models, max_size=1))
    functions = draw(st.dictionaries(names, _function(sorted(known), sorted(embed), sorted(tools)), max_size=2))
    tree |= {"tools": tools, "models": known, "embedding_models": embed, "functions": functions}
    if functions:
        kind, name = st.sampled_from(["inference", "static"]), st.sampled_from(sorted(functions))
        evaluation = table({"type": kind, "function_name": name, "evaluators": evaluators})
        tree["evaluations"] = draw(st.dictionaries(names, evaluation, max_size=1))
    return {name: value for name, value in tree.items() if value or name == "clickhouse"}
