"""Whole LiteLLM configurations, drawn at random: what goes in comes out, a second import writes nothing."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from model_registry.gateways.litellm.compare import compare
from support.litellm_imports import Registry, meant
from support.profiles import large_examples

NAMES = st.sampled_from(["gpt-4o", "fast", "smart", "org/model", "local.llm", "a b", "ü", "openai/gpt-4o"])
MODELS = st.sampled_from([
    "openai/gpt-4o", "gpt-4o-mini", "azure/dep", "anthropic/claude-3-5-haiku", "gemini/gemini-2.0-flash",
    "gemini/text-embedding-004", "vertex_ai/gemini-1.5-pro", "vertex_ai/claude-3@1", "bedrock/a.b-v1:0",
    "bedrock/converse/us.x", "groq/llama-3", "mistral/large", "openrouter/a/b", "ollama/llama3", "ollama_chat/l:8b",
    "hosted_vllm/org/m", "perplexity/sonar", "cohere/command-r", "together_ai/a/b", "fireworks_ai/a/b/c", "xai/grok",
    "deepseek/chat", "huggingface/a/b", "openai/responses/gpt-5", "text-completion-openai/davinci", "my-llm/model",
    "azure/responses/x", "openai/text-embedding-3-small", "openai/whisper-1", "openai/tts-1", "infinity/bge-reranker",
    "openai/*", "*", "os.environ/MODEL", "auto_router/x", "sagemaker/endpoint", "watsonx/ibm/granite",
])  # fmt: skip
KEYS = st.sampled_from([
    "os.environ/OPENAI_API_KEY", "os.environ/KEY_1", "none", "EMPTY", "${KEY_2}", "sk-1234", "sk-5678", None,
])  # fmt: skip
BASES = st.sampled_from([
    "http://localhost:11434", "http://h:8000/v1", "http://h:8000/v1/", "https://a.openai.azure.com/", "os.environ/BASE",
    "https://api.openai.com/v1", "not a url", None,
])  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, 1e-7, "x", "os.environ/X", ""]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "model"]), inner, max_size=3)
    ),
    max_leaves=6,
)
PARAMS: dict[str, st.SearchStrategy[Any]] = {
    "api_key": KEYS,
    "api_base": BASES,
    "base_url": BASES,
    "api_version": st.sampled_from(["2024-06-01", "os.environ/VERSION"]),
    "custom_llm_provider": st.sampled_from(["openai", "azure", "my-llm"]),
    "organization": st.just("os.environ/ORG"),
    "litellm_credential_name": st.sampled_from(["main", "other"]),
    "aws_region_name": st.sampled_from(["eu-west-1", "os.environ/REGION"]),
    "aws_access_key_id": st.just("os.environ/AWS_ID"),
    "aws_role_name": st.just("role"),
    "vertex_project": st.sampled_from(["p", "os.environ/PROJECT"]),
    "vertex_location": st.sampled_from(["europe-west1", "us-east5"]),
    "vertex_credentials": st.sampled_from(["/file.json", "os.environ/CREDENTIALS"]),
    "order": st.sampled_from([1, 2, 10, "3", 1.0, None, "x"]),
    "weight": st.sampled_from([1, 3, 0.5]),
    "rpm": st.integers(0, 100),
    "tpm": st.sampled_from([1000, "1e5"]),
    "temperature": st.sampled_from([0, 0.2]),
    "max_tokens": st.just(100),
    "timeout": st.sampled_from([5, 0.5, "os.environ/TIMEOUT"]),
    "extra_headers": st.just({"X-Team": "a"}),
    "extra_body": JSON,
    "tags": st.just(["a", "b"]),
    "input_cost_per_token": st.sampled_from([1e-6, 0]),
    "unknown_key": JSON,
}
INFO: dict[str, st.SearchStrategy[Any]] = {
    "id": st.sampled_from(["one", "two", 3, "a@b"]),
    "mode": st.sampled_from(["chat", "completion", "embedding", "rerank", "image_generation", "realtime", "ocr", None]),
    "max_input_tokens": st.sampled_from([8192, 0, "8k", None]),
    "max_output_tokens": st.just(4096),
    "max_tokens": st.just(5),
    "input_cost_per_token": st.sampled_from([1.5e-7, 3e-05, 0, 0.0, "1e-6", 10, -1]),
    "output_cost_per_token": st.sampled_from([6e-7, 1.23456789e-7]),
    "cache_read_input_token_cost": st.just(7.5e-8),
    "supports_vision": st.sampled_from([True, False, None, "yes"]),
    "supports_function_calling": st.booleans(),
    "description": st.sampled_from(["Text", 5]),
    "base_model": st.just("azure/gpt-4o"),
    "order": st.just(4),
    "own": JSON,
}
ENTRIES = st.builds(
    lambda name, model, params, info, rest: (
        {"model_name": name, "litellm_params": {"model": model, **params}}
        | ({"model_info": info} if info else {})
        | rest
    ),
    NAMES,
    MODELS,
    st.fixed_dictionaries({}, optional=PARAMS).map(lambda found: dict(list(found.items())[:6])),
    st.fixed_dictionaries({}, optional=INFO).map(lambda found: dict(list(found.items())[:5])),
    st.fixed_dictionaries({}, optional={"tpm": st.just(5), "blocked": st.booleans(), "own": JSON}),
)
ALIASES = st.dictionaries(
    st.sampled_from(["gpt-4", "old", "fast", "x::y"]),
    NAMES | st.builds(lambda name, hidden: {"model": name, "hidden": hidden}, NAMES, st.booleans()) | JSON,
    max_size=3,
)
SECTIONS = st.fixed_dictionaries(
    {},
    optional={
        "router_settings": st.fixed_dictionaries(
            {}, optional={"model_group_alias": ALIASES, "num_retries": st.just(2), "fallbacks": JSON}
        ),
        "litellm_settings": st.dictionaries(st.sampled_from(["drop_params", "callbacks", "cache"]), JSON, max_size=3),
        "general_settings": st.none() | st.just({"master_key": "sk-1234", "database_url": "os.environ/DATABASE_URL"}),
        "environment_variables": st.dictionaries(
            st.sampled_from(["A", "B"]), st.sampled_from(["x", 4, "os.environ/A"])
        ),
        "credential_list": st.lists(st.just({"credential_name": "main", "credential_values": {"api_key": "sk-1"}})),
        "guardrails": st.lists(JSON.filter(bool), max_size=2),
        "own_section": JSON,
    },
)


@large_examples()
@given(st.lists(ENTRIES, max_size=8), SECTIONS)
def test_what_goes_in_comes_out(entries: list[Any], sections: dict[str, Any]) -> None:
    files = {"config.yaml": yaml.safe_dump({"model_list": entries, **sections}, allow_unicode=True)}
    registry = Registry.empty()
    registry.take(files, skip_literal_keys=True)
    text = registry.text()
    assert compare(meant(files), registry.config().tree, facts=True) == []
    assert registry.plan(files, skip_literal_keys=True).operations == ()
    assert registry.plan({"out.yaml": text}).operations == ()
    assert "sk-1" not in text
