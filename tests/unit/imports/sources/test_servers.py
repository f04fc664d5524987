"""Facts reported by Ollama and by servers with OpenAI's API."""

from __future__ import annotations

from typing import Any

from model_registry.imports.sources.servers import model_names, read_ollama, read_openai_models

TAGS = {
    "models": [
        {"name": "tiny:1b", "size": 1_000_000_000, "details": {"family": "tiny", "parameter_size": "1.1B"}},
        {"name": "embed:latest", "size": 500_000_000},
        {"name": "far:cloud", "size": 300, "remote_host": "https://ollama.example"},
        {"name": "hidden"},
        {"size": 1},
        "odd",
    ]
}
SHOWN = {
    "tiny:1b": {
        "details": {"format": "gguf", "quantization_level": "Q4_K_M"},
        "model_info": {"general.architecture": "tiny", "tiny.vision.context_length": 9, "tiny.context_length": 4096},
        "capabilities": ["completion", "tools", "vision", "thinking", "something"],
    },
    "embed:latest": {"model_info": {"general.parameter_count": 137_000_000}, "capabilities": ["embedding"]},
    "far:cloud": {},
}


def known(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, [])}


def test_an_ollama_server_tells_sizes_context_and_capabilities() -> None:
    assert model_names(TAGS) == ["tiny:1b", "embed:latest", "far:cloud", "hidden"]
    reading = read_ollama(TAGS, SHOWN, "http://gpu:11434/", "gpu")
    tiny, embed, far = reading.offers
    assert (tiny.provider, tiny.provider_type, tiny.api_base) == ("gpu", "ollama", "http://gpu:11434/v1")
    assert known(tiny.fields) == {
        "model_type": "chat",
        "capabilities": ["chat", "streaming", "tool_use", "vision", "reasoning", "something"],
        "category": "vision-vlm",
        "context_length": 4096,
        "base_architecture": "tiny",
        "parameters": "1.1B",
        "quantization": {"type": "Q4_K_M", "method": "gguf"},
        "requirements": {"min_vram_gb": 1.2},
    }
    assert tiny.estimated == ["requirements"]
    assert (embed.fields["model_type"], embed.fields["parameters"]) == ("embedding", "137M")
    assert far.fields["requirements"] is None
    assert [passed.name for passed in reading.passed_over] == ["hidden", "{'size': 1}", "odd"]


def test_what_is_no_answer_of_ollama_offers_nothing() -> None:
    answers: list[Any] = [None, [], {}, {"models": None}, {"models": 1}]
    for answer in answers:
        assert read_ollama(answer, {}, "http://h", "p").offers == ()
        assert model_names(answer) == []


def read(answer: Any) -> list[dict[str, Any]]:
    return [offer.fields for offer in read_openai_models(answer, "p", "vllm", "http://h/v1").offers]


def test_each_server_tells_the_context_in_its_own_words() -> None:
    words = ("max_model_len", "context_length", "context_window", "max_context_length")
    models = [{"id": f"m{number}", word: 4096} for number, word in enumerate(words)]
    assert [fields["context_length"] for fields in read({"data": models})] == [4096] * 4
    assert read(models) == read({"data": models})


def test_openrouter_and_mistral_tell_more() -> None:
    [fields, flags] = read(
        {
            "data": [
                {
                    "id": "a/b",
                    "pricing": {"prompt": "0.00000015", "completion": "-1", "input_cache_read": "odd"},
                    "top_provider": {"max_completion_tokens": 99},
                    "supported_parameters": ["tools", "response_format"],
                    "architecture": {"input_modalities": ["text", "image"]},
                },
                {"id": "c", "capabilities": {"completion_chat": True, "function_calling": True, "vision": False}},
            ]
        }
    )
    assert fields == {
        "model_type": "chat",
        "max_output_tokens": 99,
        "capabilities": ["tool_use", "json_mode", "vision"],
        "cost_per_1m_input_tokens": 0.15,
    }
    assert flags["capabilities"] == ["chat", "function_calling"]


def test_what_a_model_is_for_is_read_off_its_name() -> None:
    named = {
        "text-embedding-3-small": "embedding",
        "bge-reranker": "reranker",
        "whisper-1": "audio",
        "gpt-4o-mini-tts": "tts",
        "dall-e-3": "image",
        "attstral": "chat",
    }
    assert [fields["model_type"] for fields in read([{"id": name} for name in named])] == list(named.values())


def test_what_is_no_answer_of_such_a_server_offers_nothing() -> None:
    assert [read(answer) for answer in (None, {}, {"data": 1}, [{"id": 1}, "x", {}])] == [[]] * 4
