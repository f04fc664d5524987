"""Every call in the documentation of the old `ModelRegistry`: in memory and over HTTP, with the same behaviour."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from model_registry.client import (
    Client,
    ConfigurationError,
    ModelCapabilities,
    ModelConfig,
    ModelRegistry,
    ModelStatus,
    ProvisionedThroughput,
    QualityScores,
)
from model_registry.errors import InvalidModel, ModelNotFound
from support.processes import Service

DEFAULTS = ["llama3.1:8b", "llama3.2:3b", "llava-llama3:latest"]


@pytest.fixture(params=["memory", "http"])
def registry(request: pytest.FixtureRequest) -> Iterator[ModelRegistry]:
    if request.param == "memory":
        yield ModelRegistry()
        return
    service: Service = request.getfixturevalue("service")
    made = ModelRegistry(service.url, service.client.headers["Authorization"].removeprefix("Bearer "))
    yield made
    made.close()


def opus() -> ModelConfig:
    """A model with every field set."""
    return ModelConfig(
        model_id="claude-3-opus",
        provider="anthropic",
        display_name="Claude 3 Opus",
        capabilities=ModelCapabilities(
            supports_streaming=True, supports_vision=True, supports_tool_use=True, supports_json_mode=True
        ),
        context_window=200000,
        max_output_tokens=4096,
        cost_per_1m_input_tokens=15.0,
        cost_per_1m_output_tokens=75.0,
        rate_limit_rpm=60,
        rate_limit_tpm=100000,
        latency_p50_ms=2000,
        latency_p99_ms=8000,
        status=ModelStatus.ACTIVE,
        quality_scores=QualityScores(reasoning=0.95, coding=0.92, creative=0.90, summarization=0.93),
    )


def ids(models: list[ModelConfig]) -> list[str]:
    return [model.model_id for model in models]


async def test_the_default_models(registry: ModelRegistry) -> None:
    assert not registry.is_initialized()
    assert len(registry.list_models()) == 0

    registry.load_default_models()
    registry.load_default_models()

    assert registry.is_initialized()
    assert ids(registry.list_models()) == DEFAULTS
    model = registry.get_model("llama3.1:8b")
    assert model is not None
    assert (model.display_name, model.provider, model.context_window) == ("Llama 3.1 8B", "ollama", 128000)
    assert (model.status.value, model.latency_p50_ms, model.quality_scores.reasoning) == ("active", 500, 0.75)
    assert f"{model.context_window:,}" == "128,000"
    assert registry.get_model_or_raise("llama3.1:8b") == model
    assert ids(registry.get_models_by_capability("vision")) == ["llava-llama3:latest"]
    assert ids(registry.get_models_by_capabilities(["text", "streaming"])) == DEFAULTS
    assert ids(registry.get_models_by_capabilities(["streaming", "JSON_mode"])) == DEFAULTS[:2]
    assert ids(registry.get_models_by_capabilities([])) == DEFAULTS
    assert ids(registry.get_models_by_provider("ollama")) == DEFAULTS
    assert all(m.supports_capability("streaming") and m.has_capability("text") for m in registry.list_models())


async def test_a_model_of_ones_own(registry: ModelRegistry) -> None:
    registry.register_model(opus())
    registry.register_model(
        model_id="code-1",
        provider="lab",
        display_name="Code",
        capabilities=ModelCapabilities(supports_tool_use=True, others=["code"]),
        context_window=8192,
        max_output_tokens=4096,
    )

    assert registry.get_model("claude-3-opus") == opus()
    assert ids(registry.get_models_by_capabilities(["code", "function_calling"])) == ["code-1"]
    assert registry.get_providers() == ["anthropic", "lab"]
    assert registry.get_capabilities() == ["code", "json_mode", "streaming", "text", "tool_use", "vision"]
    assert registry.get_stats() == {
        "total_models": 2,
        "active_models": 2,
        "total_providers": 2,
        "total_capabilities": 6,
        "providers": ["anthropic", "lab"],
        "capabilities": registry.get_capabilities(),
    }


async def test_lists_may_be_awaited(registry: ModelRegistry) -> None:
    registry.register_model(opus())
    registry.load_default_models()

    models = await registry.list_models(provider="anthropic", status=ModelStatus.ACTIVE)

    assert [m.display_name for m in models] == ["Claude 3 Opus"]
    assert ids(registry.list_models(provider="ollama")) == DEFAULTS
    assert registry.list_models(status="disabled") == []


async def test_a_status_changes(registry: ModelRegistry) -> None:
    registry.load_default_models()
    held = registry.get_model_or_raise("llama3.1:8b")

    for status in (ModelStatus.MAINTENANCE, ModelStatus.DISABLED, ModelStatus.DEPRECATED):
        registry.update_model_status("llama3.1:8b", status)
        model = registry.get_model_or_raise("llama3.1:8b")
        assert (model.status, model.is_available()) == (status, False)
        assert ids(registry.get_available_models()) == DEFAULTS[1:]
        assert registry.get_stats()["active_models"] == 2
    registry.update_model_status("llama3.1:8b", ModelStatus.ACTIVE)

    assert registry.get_model("llama3.1:8b") == held
    assert held.is_available(), "what was handed out does not change behind its owner's back"


async def test_a_model_is_registered_again(registry: ModelRegistry) -> None:
    registry.register_model(opus())
    changed = opus()
    changed.provider, changed.context_window = "bedrock", 100
    changed.rate_limit_rpm = None  # type: ignore[assignment] # not known any more
    changed.capabilities.supports_vision = False

    registry.register_model(changed)

    assert registry.list_models() == [changed]
    assert registry.get_providers() == ["bedrock"]


async def test_all_of_a_model_comes_back(registry: ModelRegistry) -> None:
    model = opus()
    model.cost_per_1m_cached_input_tokens, model.regions, model.metadata = 1.5, ["eu"], {"team": "search"}
    model.provisioned_throughput = ProvisionedThroughput(enabled=True, provisioned_units=2)
    model.capabilities.supports_code_execution = True

    registry.register_model(model)
    assert registry.get_model("claude-3-opus") == model
    model.regions, model.provisioned_throughput = [], ProvisionedThroughput()
    model.capabilities.supports_streaming = False
    registry.register_model(model)

    assert registry.get_model("claude-3-opus") == model


async def test_a_router_ranks_models_of_which_little_is_known(registry: ModelRegistry) -> None:
    registry.load_default_models()
    registry.register_model(opus())
    registry.register_model(ModelConfig("bare", "lab"))

    models = registry.get_available_models()

    assert ids([m for m in models if m.context_window >= 9000]) == ["claude-3-opus", *DEFAULTS[:2]]
    assert ids(sorted(models, key=lambda m: m.calculate_cost(1000, 500)))[-2:] == ["claude-3-opus", "bare"]
    assert ids(sorted(models, key=lambda m: m.latency_p50_ms))[0] == "llama3.2:3b"
    assert ids(sorted(models, key=lambda m: -m.quality_scores.reasoning))[0] == "claude-3-opus"
    assert [m.latency_p99_ms <= 5000 for m in models if m.model_id == "bare"] == [True]


async def test_a_model_that_is_not_there(registry: ModelRegistry) -> None:
    assert registry.get_model("nobody") is None
    with pytest.raises(ModelNotFound) as missing:
        registry.get_model_or_raise("nobody")
    assert (missing.value.code, isinstance(missing.value, ConfigurationError)) == ("E4001", True)
    with pytest.raises(ConfigurationError):
        registry.update_model_status("nobody", ModelStatus.ACTIVE)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model_id", ""),
        ("provider", ""),
        ("context_window", 0),
        ("max_output_tokens", -1),
        ("cost_per_1m_input_tokens", -1.0),
        ("latency_p50_ms", 9000),
        ("quality_scores", QualityScores(coding=1.5)),
        ("status", "brand new"),
    ],
)
async def test_an_invalid_model_is_refused(registry: ModelRegistry, field: str, value: object) -> None:
    model = opus()
    setattr(model, field, value)

    with pytest.raises(InvalidModel) as refused:
        registry.register_model(model)

    assert refused.value.code == "E4003"
    assert refused.value.reasons
    assert registry.list_models() == []


async def test_a_field_that_does_not_exist_is_refused(registry: ModelRegistry) -> None:
    with pytest.raises(InvalidModel, match="colour"):
        registry.register_model(model_id="m", provider="p", colour="red")
    with pytest.raises(InvalidModel):
        registry.update_model_status("m", "brand new")


def test_models_made_elsewhere_are_there_too(service: Service) -> None:
    key = service.client.headers["Authorization"].removeprefix("Bearer ")
    with Client(service.url, key) as client:
        for name in ("lab", "cloud"):
            client.create_provider(name=name, type="ollama", api_base=f"http://{name}:11434/v1")
            client.create_model(name="qwen", model_id="qwen3:8b", provider=name, capabilities=["chat"])
        client.create_model(name="loud", model_id="bark", provider="lab", model_type="tts")
        client.change_model("bark", metadata={"of": "others"})
        registry = ModelRegistry(client=client)

        assert ids(registry.list_models()) == ["bark", "cloud/qwen", "lab/qwen"]
        registry.register_model(ModelConfig("bark", "lab", latency_p50_ms=7, metadata={"mine": 1}))
        held = client.get_model("bark")
        assert (held.latency_p50_ms, held.latency_p99_ms, held.metadata) == (7, None, {"of": "others", "mine": 1})
        registry.register_model(ModelConfig("bark", "lab", capabilities=ModelCapabilities(supports_text=False)))
        assert not registry.get_model_or_raise("bark").has_capability("text")
        assert ids(registry.get_available_models()) == ["bark", "cloud/qwen", "lab/qwen"]
        client.change_provider("lab", active=False)
        assert ids(registry.get_available_models()) == ["cloud/qwen"]
