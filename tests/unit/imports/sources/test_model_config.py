"""Facts in `config.json`: the context with scaled positions, and parts around the language model."""

from __future__ import annotations

from typing import Any

import pytest

from model_registry.imports.sources.model_config import context_length, shape_of, text_config


def context(config: dict[str, Any]) -> int | None:
    return context_length(text_config(config))


def yarn(factor: float, original: int | None = None, **more: Any) -> dict[str, Any]:
    return {"factor": factor, "original_max_position_embeddings": original, **more}


CONTEXTS: dict[str, tuple[dict[str, Any], int | None]] = {
    "plain": ({"max_position_embeddings": 40960}, 40960),
    "YaRN, not scaled (Qwen2.5)": (
        {"max_position_embeddings": 32768, "rope_scaling": yarn(4.0, 32768, type="yarn")},
        131072,
    ),
    "YaRN, beyond the trained length (Qwen3)": (
        {"max_position_embeddings": 40960, "rope_scaling": yarn(4.0, 32768, rope_type="yarn")},
        131072,
    ),
    "YaRN, scaled (DeepSeek-V3)": (
        {"max_position_embeddings": 163840, "rope_scaling": yarn(40, 4096, type="yarn")},
        163840,
    ),
    "YaRN, scaled (gpt-oss)": (
        {"max_position_embeddings": 131072, "rope_scaling": yarn(32.0, 4096, rope_type="yarn", truncate=False)},
        131072,
    ),
    "YaRN without the original": ({"max_position_embeddings": 32768, "rope_scaling": yarn(4.0, type="yarn")}, 131072),
    "YaRN in rope_parameters (Transformers 5)": (
        {"max_position_embeddings": 262144, "rope_parameters": yarn(16.0, 16384, rope_type="yarn", rope_theta=1e6)},
        262144,
    ),
    "linear (Vicuna 16k)": (
        {
            "max_position_embeddings": 4096,
            "max_sequence_length": 16384,
            "rope_scaling": {"type": "linear", "factor": 4.0},
        },
        16384,
    ),
    "linear, with the original": (
        {"max_position_embeddings": 16384, "rope_scaling": yarn(4.0, 4096, type="linear")},
        16384,
    ),
    "dynamic (InternLM 2.5)": (
        {"max_position_embeddings": 32768, "rope_scaling": {"type": "dynamic", "factor": 2.0}},
        65536,
    ),
    "linear, scaled (Gemma 3)": (
        {
            "model_type": "gemma3",
            "text_config": {
                "model_type": "gemma3_text",
                "max_position_embeddings": 131072,
                "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
            },
        },
        131072,
    ),
    "one scaling a kind of layer": (
        {
            "max_position_embeddings": 65536,
            "rope_parameters": {
                "full_attention": yarn(8.0, 8192, rope_type="yarn"),
                "sliding_attention": {"rope_type": "default", "rope_theta": 10000},
            },
        },
        65536,
    ),
    "llama3 (Llama 3.1)": (
        {"max_position_embeddings": 131072, "rope_scaling": yarn(8.0, 8192, rope_type="llama3")},
        131072,
    ),
    "longrope (Phi 3)": (
        {
            "max_position_embeddings": 131072,
            "original_max_position_embeddings": 4096,
            "rope_scaling": {"type": "longrope", "short_factor": [1.0], "long_factor": [1.0]},
        },
        131072,
    ),
    "mrope (Qwen2.5-VL)": (
        {"max_position_embeddings": 128000, "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}},
        128000,
    ),
    "Command R": ({"max_position_embeddings": 8192, "model_max_length": 131072, "rope_scaling": None}, 131072),
    "Qwen-Omni": (
        {
            "thinker_config": {
                "text_config": {"max_position_embeddings": 65536, "rope_scaling": {"rope_type": "default"}},
                "audio_config": {"max_position_embeddings": 1500},
            },
            "talker_config": {"text_config": {"max_position_embeddings": 32768}},
        },
        65536,
    ),
    "InternVL": (
        {"llm_config": {"max_position_embeddings": 40960}, "vision_config": {"max_position_embeddings": 1}},
        40960,
    ),
    "DeepSeek-VL2": ({"language_config": {"max_position_embeddings": 4096}}, 4096),
    "null inside": (
        {"max_position_embeddings": 131072, "text_config": {"max_position_embeddings": None, "rope_scaling": None}},
        131072,
    ),
    "scaling outside": (
        {
            "rope_scaling": yarn(4, 8192, type="yarn"),
            "text_config": {"max_position_embeddings": 8192, "rope_scaling": None},
        },
        32768,
    ),
    "no language model inside": ({"text_config": None, "llm_config": [], "max_position_embeddings": 512}, 512),
    "old LLaVA": (
        {
            "architectures": ["LlavaLlamaForCausalLM"],
            "max_position_embeddings": 4096,
            "text_config": {"max_position_embeddings": 77},
        },
        4096,
    ),
    "positions of padding (BGE M3)": (
        {"model_type": "xlm-roberta", "max_position_embeddings": 8194, "pad_token_id": 1},
        8192,
    ),
    "positions of padding, not stated": ({"model_type": "roberta", "max_position_embeddings": 514}, 512),
    "nothing": ({"rope_scaling": {"type": "linear", "factor": 4}}, None),
    "no numbers": (
        {"max_position_embeddings": "many", "rope_scaling": {"type": "yarn", "factor": "4", "rope_type": 7}},
        None,
    ),
    "not a scaling": (
        {"max_position_embeddings": 4096, "rope_scaling": {"type": "yarn", "factor": float("inf")}},
        4096,
    ),
}


@pytest.mark.parametrize("case", CONTEXTS)
def test_the_context_is_the_scaled_length(case: str) -> None:
    config, expected = CONTEXTS[case]

    assert context(config) == expected


SHAPES: dict[str, tuple[dict[str, Any], float]] = {
    "Llama 3.1 8B": (
        {
            "model_type": "llama",
            "hidden_size": 4096,
            "num_hidden_layers": 32,
            "vocab_size": 128256,
            "intermediate_size": 14336,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
        },
        8.03e9,
    ),
    "Mixtral 8x7B": (
        {
            "model_type": "mixtral",
            "hidden_size": 4096,
            "num_hidden_layers": 32,
            "vocab_size": 32000,
            "intermediate_size": 14336,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "num_local_experts": 8,
        },
        46.7e9,
    ),
    "Qwen3 235B": (
        {
            "model_type": "qwen3_moe",
            "hidden_size": 4096,
            "num_hidden_layers": 94,
            "vocab_size": 151936,
            "intermediate_size": 12288,
            "moe_intermediate_size": 1536,
            "num_attention_heads": 64,
            "num_key_value_heads": 4,
            "head_dim": 128,
            "num_experts": 128,
            "decoder_sparse_step": 1,
            "mlp_only_layers": [],
        },
        235.1e9,
    ),
    "DeepSeek V3": (
        {
            "model_type": "deepseek_v3",
            "hidden_size": 7168,
            "num_hidden_layers": 61,
            "vocab_size": 129280,
            "intermediate_size": 18432,
            "moe_intermediate_size": 2048,
            "num_attention_heads": 128,
            "num_key_value_heads": 128,
            "n_routed_experts": 256,
            "n_shared_experts": 1,
            "first_k_dense_replace": 3,
            "moe_layer_freq": 1,
            "kv_lora_rank": 512,
            "q_lora_rank": 1536,
            "qk_nope_head_dim": 128,
            "qk_rope_head_dim": 64,
            "v_head_dim": 128,
        },
        671e9,
    ),
    "Llama 4 Maverick": (
        {
            "model_type": "llama4_text",
            "hidden_size": 5120,
            "num_hidden_layers": 48,
            "vocab_size": 202048,
            "intermediate_size": 8192,
            "intermediate_size_mlp": 16384,
            "num_attention_heads": 40,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "num_local_experts": 128,
            "interleave_moe_layer_step": 2,
        },
        400e9,
    ),
    "GPT-2": (
        {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257},
        124e6,
    ),
    "Gemma 2 2B": (
        {
            "model_type": "gemma2",
            "hidden_size": 2304,
            "num_hidden_layers": 26,
            "vocab_size": 256000,
            "intermediate_size": 9216,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 256,
        },
        2.61e9,
    ),
}


@pytest.mark.parametrize("model", SHAPES)
def test_dimensions_give_the_number_of_parameters(model: str) -> None:
    config, expected = SHAPES[model]

    shape = shape_of(config)

    assert shape is not None
    assert shape.total == pytest.approx(expected, rel=0.03)
