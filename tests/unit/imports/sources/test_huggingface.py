"""Facts from Hugging Face, and the memory estimated from them."""

from __future__ import annotations

from typing import Any

import pytest

from model_registry.imports.sources.huggingface import (
    needed_gb,
    parameters_in,
    parameters_text,
    read_huggingface,
    stored_bytes,
)

CONFIG = {"architectures": ["X"], "model_type": "qwen3", "max_position_embeddings": 40960, "torch_dtype": "bfloat16"}
INFO = {
    "pipeline_tag": "text-generation",
    "library_name": "transformers",
    "tags": ["license:apache-2.0"],
    "safetensors": {"parameters": {"BF16": 8_190_735_360}, "total": 8_190_735_360},
}


def facts(name: str = "Org/Model-8B", config: Any = CONFIG, info: Any = INFO) -> dict[str, Any]:
    (offer,) = read_huggingface(name, config, info, "vllm_local").offers
    assert offer.estimated == ["requirements"]
    return offer.fields


def test_config_and_hub_together() -> None:
    assert facts() == {
        "model_type": "chat",
        "category": "text-llm",
        "task_types": ["text-generation"],
        "base_architecture": "qwen3",
        "parameters": "8.2B",
        "context_length": 40960,
        "requirements": {"min_vram_gb": 19.7},
        "inference_defaults": {"dtype": "bfloat16"},
        "framework": "transformers",
        "license": "apache-2.0",
        "urls": {"huggingface": "https://huggingface.co/Org/Model-8B"},
    }


def test_config_alone_estimates_from_the_name_and_the_type_of_its_numbers() -> None:
    fields = facts("Org/Model-8B", CONFIG, {})
    assert (fields["parameters"], fields["requirements"]) == ("8B", {"min_vram_gb": 19.2})
    assert "model_type" not in fields
    assert facts("Org/Model-8B", CONFIG | {"torch_dtype": "float32"}, {})["requirements"] == {"min_vram_gb": 38.4}
    assert "requirements" not in facts("Org/Model", CONFIG, {})


@pytest.mark.parametrize(
    ("told", "quantization", "gigabytes"),
    [
        ({"quant_method": "awq", "bits": 4}, {"method": "awq", "type": "awq"}, 4.8),
        ({"quant_method": "fp8"}, {"method": "fp8", "type": "fp8"}, 9.6),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, {"method": "4bit", "type": "bitsandbytes"}, 4.8),
        ({"load_in_8bit": True}, {"method": "8bit", "type": "bitsandbytes"}, 9.6),
        ({"quant_method": "compressed-tensors"}, {"type": "compressed-tensors"}, None),
    ],
)
def test_quantized_weights_take_less(
    told: dict[str, Any], quantization: dict[str, str], gigabytes: float | None
) -> None:
    fields = facts("Org/Model-8B", CONFIG | {"quantization_config": told}, {})
    assert fields["quantization"] == quantization
    assert fields.get("requirements", {}).get("min_vram_gb") == gigabytes


def test_packed_weights_count_by_their_bytes_and_not_as_parameters() -> None:
    packed = {"safetensors": {"parameters": {"I32": 1_000_000_000, "F16": 500_000_000}, "total": 1_500_000_000}}
    quantized = CONFIG | {"quantization_config": {"quant_method": "awq"}}
    fields = facts("Org/Model-8B", quantized, packed)
    assert (fields["parameters"], fields["requirements"]) == ("8B", {"min_vram_gb": 6.0})


def test_models_that_see_keep_their_context_below_text_config() -> None:
    config = {"model_type": "vlm", "text_config": {"max_position_embeddings": 1024, "dtype": "float16"}}
    fields = facts("m", config, {"pipeline_tag": "image-text-to-text"})
    assert (fields["context_length"], fields["model_type"], fields["category"]) == (1024, "vl", "vision-vlm")
    assert "urls" not in fields


def test_models_for_tasks_that_no_gateway_knows_are_no_chat_models() -> None:
    for task in ("image-classification", "object-detection", "token-classification", "time-series-forecasting"):
        fields = facts("m", {}, {"pipeline_tag": task})
        assert (fields["model_type"], fields["task_types"]) == ("other", [task])


def test_gguf_files_have_no_config() -> None:
    gguf = {"gguf": {"total": 7_000_000_000, "architecture": "llama", "context_length": 8192}}
    fields = facts("Org/M-GGUF", {}, gguf)
    assert (fields["base_architecture"], fields["context_length"], fields["parameters"]) == ("llama", 8192, "7B")


def test_an_empty_answer_is_no_offer() -> None:
    assert read_huggingface("m", {}, {}, None).offers == ()


def test_estimates() -> None:
    assert (needed_gb(16e9), needed_gb(1), needed_gb(0)) == (19.2, 0.1, None)
    assert stored_bytes({"BF16": 10, "F8_E4M3": 5}) == 25
    assert (stored_bytes({"Q9": 1}), stored_bytes({})) == (None, None)
    assert [parameters_text(n) for n in (999, 1500, 137e6, 8.19e9, 1e12)] == [None, "1.5K", "137M", "8.2B", "1T"]
    names = {"Qwen3-30B-A3B": 30e9, "Llama-3.1-8B": 8e9, "SmolLM-135M": 135e6, "Mixtral-8x7B": None, "gpt-2": None}
    assert {name: parameters_in(name) for name in names} == names
