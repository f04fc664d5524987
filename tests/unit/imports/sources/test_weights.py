"""Parameters and memory of repositories as they are on the Hub: numbers of real files, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.imports.sources.huggingface import read_huggingface

QWEN_7B: dict[str, Any] = {"model_type": "qwen2", "hidden_size": 3584, "num_hidden_layers": 28, "vocab_size": 152064}
QWEN_7B |= {"intermediate_size": 18944, "num_attention_heads": 28, "num_key_value_heads": 4}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128}
GPT_OSS: dict[str, Any] = {"model_type": "gpt_oss", "hidden_size": 2880, "num_hidden_layers": 24, "vocab_size": 201088}
GPT_OSS |= {"intermediate_size": 2880, "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64}
GPT_OSS |= {"num_local_experts": 32, "quantization_config": {"quant_method": "mxfp4"}}
MLX = {"quantization": {"group_size": 64, "bits": 4}, "quantization_config": {"group_size": 64, "bits": 4}}
INT4 = {"num_bits": 4, "type": "int", "group_size": 32, "strategy": "group", "symmetric": True}
KIMI: dict[str, Any] = {
    "hidden_size": 7168,
    "num_hidden_layers": 61,
    "n_routed_experts": 384,
    "moe_intermediate_size": 2048,
}
KIMI |= {"first_k_dense_replace": 1, "n_shared_experts": 1, "vocab_size": 163840, "num_attention_heads": 64}
KIMI |= {"kv_lora_rank": 512, "q_lora_rank": 1536, "intermediate_size": 18432, "model_type": "kimi_k2"}
PACKED = {
    "quant_method": "compressed-tensors",
    "format": "pack-quantized",
    "config_groups": {"group_0": {"targets": ["Linear"], "weights": INT4}},
    "ignore": ["re:.*self_attn.*", "re:.*shared_experts.*"],
}
NVFP4 = {"num_bits": 4, "type": "float", "group_size": 16}
W4A4 = PACKED | {"format": "nvfp4-pack-quantized", "config_groups": {"group_0": {"weights": NVFP4}}, "ignore": []}
FP8 = {"num_bits": 8, "type": "float", "strategy": "channel"}
W8A8 = PACKED | {"format": "float-quantized", "config_groups": {"group_0": {"weights": FP8}}, "ignore": []}
QWEN_8B: dict[str, Any] = {"model_type": "qwen3", "hidden_size": 4096, "num_hidden_layers": 36, "vocab_size": 151936}
QWEN_8B |= {"intermediate_size": 12288, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128}


def facts(name: str, config: Any, numbers: dict[str, int] | None = None, **info: Any) -> Any:
    """The offer of a repository whose files have these numbers."""
    if numbers is not None:
        info["safetensors"] = {
            "parameters": numbers,
            "total": info["total"] if "total" in info else sum(numbers.values()),
        }
    (offer,) = read_huggingface(name, config, info, "p").offers
    return offer


def sizes(offer: Any) -> tuple[Any, Any]:
    return offer.fields.get("parameters"), offer.fields.get("requirements", {}).get("min_vram_gb")


REAL = {
    "AWQ, numbers in the files": (
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", QWEN_7B | {"quantization_config": AWQ}),
        {"I32": 822_033_408, "F16": 1_141_306_880},
        ("7.6B", 6.7),
    ),
    "AWQ, weights": (
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", QWEN_7B | {"quantization_config": AWQ}),
        {"I32": 6_525_288_448, "F16": 1_090_328_064},
        ("7.6B", 6.7),
    ),
    "AWQ, the name alone decides": (
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", {"quantization_config": AWQ}),
        {"I32": 822_033_408, "F16": 1_141_306_880},
        ("7.6B", 6.7),
    ),
    "GPTQ of 8 bits": (
        ("org/model-7b", QWEN_7B | {"quantization_config": AWQ | {"quant_method": "gptq", "bits": 8}}),
        {"I32": 1_644_066_816, "F16": 1_141_306_880},
        ("7.6B", 10.7),
    ),
    "GPTQ that says nothing": (
        ("org/Qwen2.5-7B-Instruct-GPTQ", QWEN_7B),
        {"I32": 822_033_408, "F16": 1_141_306_880},
        ("7B", 6.7),
    ),
    "MXFP4, weights and scales": (
        ("openai/gpt-oss-20b", GPT_OSS),
        {"BF16": 1_804_459_584, "U8": 19_707_494_400},
        ("20.9B", 16.6),
    ),
    "MXFP4, weights": (("openai/gpt-oss-20b", GPT_OSS), {"BF16": 1_804_459_584, "U8": 19_110_297_600}, ("20.9B", 16.6)),
    "MXFP4, bytes": (("openai/gpt-oss-20b", GPT_OSS), {"BF16": 1_804_459_584, "U8": 10_152_345_600}, ("20.9B", 16.6)),
    "MXFP4, the name alone decides": (
        ("openai/gpt-oss-120b", {"quantization_config": {"quant_method": "mxfp4"}}),
        {"BF16": 2_167_371_072, "U8": 118_244_966_400},
        ("116.8B", 78.3),
    ),
    "FP8 experts": (
        ("deepseek-ai/DeepSeek-V3", {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}),
        {"BF16": 3_918_786_560, "F8_E4M3": 680_571_043_840, "F32": 41_555_600},
        ("684.5B", 826.3),
    ),
    "FP8 experts whose name is of the active ones": (
        ("meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8", {"text_config": {"quantization_config": W8A8}}),
        {"BF16": 14_900_000_000, "F8_E4M3": 386_700_000_000},
        ("401.6B", 499.8),
    ),
    "INT4 experts below text_config": (
        ("moonshotai/Kimi-K2.5", {"text_config": KIMI | {"quantization_config": PACKED}}),
        {"I32": 126_835_752_960, "BF16": 44_000_000_000, "F32": 23_040},
        ("1T", 714.5),
    ),
    "NVFP4": (
        ("nvidia/Model-8B-NVFP4", QWEN_8B | {"quantization_config": W4A4}),
        {"U8": 3_472_883_712, "F8_E4M3": 434_110_464, "BF16": 1_244_967_936},
        ("8.2B", 7.7),
    ),
    "FP8 with FP4 experts": (
        ("org/model", KIMI | {"quantization_config": {"quant_method": "fp8"}, "expert_dtype": "fp4"}),
        {"I8": 507_343_011_840, "F8_E8M0": 31_708_938_240, "F8_E4M3": 10_000_000_000, "BF16": 2_000_000_000},
        ("1T", 663.7),
    ),
    "MLX": (
        ("mlx-community/Qwen3-8B-4bit", QWEN_8B | MLX),
        {"U32": 1_023_803_392, "BF16": 256_259_072},
        ("8.2B", 5.6),
    ),
    "MLX whose name states nothing": (
        ("org/model-4bit", {"quantization": MLX["quantization"]}),
        {"U32": 1_023_803_392, "BF16": 256_259_072},
        ("8.2B", 5.6),
    ),
    "MLX of several widths": (
        ("mlx-community/Qwen3-8B-mixed", QWEN_8B | {"quantization": MLX["quantization"] | {"lm_head": {"bits": 8}}}),
        {"U32": 1_100_000_000, "BF16": 256_259_072},
        ("8B", 5.9),
    ),
    "bitsandbytes, bytes": (
        (
            "unsloth/llama-3-8b-bnb-4bit",
            {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
        ),
        {"U8": 3_598_712_832, "BF16": 1_050_939_392, "F32": 460_000},
        ("8B", 6.9),
    ),
    "bitsandbytes, weights": (
        (
            "unsloth/llama-3-8b-bnb-4bit",
            {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
        ),
        {"U8": 6_979_321_856, "BF16": 1_050_939_392, "F32": 460_000},
        ("8B", 6.9),
    ),
}


@pytest.mark.parametrize("case", REAL)
def test_packed_weights_are_counted_as_weights(case: str) -> None:
    (name, config), numbers, expected = REAL[case]

    offer = facts(name, config, numbers)

    parameters, memory = sizes(offer)
    assert (parameters, memory) == (expected[0], pytest.approx(expected[1], rel=0.03))
    assert offer.left_out == {}


def test_the_size_of_the_files_decides() -> None:
    files = [{"rfilename": f"model-0000{n}-of-00002.safetensors", "size": 2_785_000_000} for n in (1, 2)]
    files += [{"rfilename": "consolidated.safetensors", "size": 5_570_000_000}]
    packed, weights = {"I32": 822_033_408, "F16": 1_141_306_880}, {"I32": 6_525_288_448, "F16": 1_090_328_064}

    for numbers in (packed, weights):
        offer = facts("org/model", {"quantization_config": AWQ}, numbers, siblings=files)
        assert sizes(offer) == ("7.6B", 6.7)
    assert sizes(facts("org/model", {"quantization_config": AWQ}, packed, siblings=files[1:]))[1] is None, (
        "a shard short"
    )
    assert sizes(facts("org/model", {"quantization_config": AWQ}, packed, usedStorage=5_571_000_000)) == ("7.6B", 6.7)


def test_counts_that_nothing_confirms_are_left_out_with_the_reason() -> None:
    numbers = {"I32": 822_033_408, "F16": 1_141_306_880}

    offer = facts("org/model", {"quantization_config": AWQ}, numbers)

    assert sizes(offer) == (None, None)
    assert offer.left_out.keys() == {"parameters", "requirements"}
    assert "I32 822033408" in offer.left_out["requirements"]


def test_contradicting_totals_are_decided_or_left_out() -> None:
    numbers = {"BF16": 8_190_735_360}
    assert sizes(facts("org/model-8B", {}, numbers, total=1_023_841_920)) == ("8.2B", 19.7)
    assert sizes(facts("org/model", QWEN_8B, numbers, total=1_023_841_920)) == ("8.2B", 19.7)
    assert sizes(facts("org/model-1B", {}, numbers, total=1_023_841_920)) == ("1B", 2.5)
    offer = facts("org/model", {}, numbers, total=1_023_841_920)
    assert (sizes(offer), offer.left_out.keys()) == ((None, None), {"parameters", "requirements"})
    part = facts("org/model-8B", QWEN_8B, {"BF16": 500_000_000})
    assert (sizes(part), "requirements" in part.left_out) == ((None, None), True), "only a part is counted"


def test_a_total_says_which_kind_the_counts_are() -> None:
    numbers = {"I32": 822_033_408, "F16": 1_141_306_880}
    assert sizes(facts("org/model", {"quantization_config": AWQ}, numbers, total=7_615_616_512)) == ("7.6B", 6.7)


@pytest.mark.parametrize(
    ("name", "config", "expected"),
    [
        ("org/model", QWEN_8B | {"torch_dtype": "bfloat16"}, ("8.2B", 19.7)),
        ("org/model", GPT_OSS, ("20.9B", 16.6)),
        ("org/Llama-4-Scout-17B-16E", {}, (None, None)),
        ("org/model", KIMI, ("1T", 2_464.0)),
        ("org/model-3B", QWEN_8B, (None, None)),
        ("org/model", QWEN_7B | {"quantization_config": AWQ}, ("7.6B", 6.7)),
    ],
)
def test_dimensions_alone_are_enough(name: str, config: Any, expected: tuple[Any, Any]) -> None:
    parameters, memory = sizes(facts(name, config, likes=1))

    assert (parameters, memory) == (expected[0], expected[1] and pytest.approx(expected[1], rel=0.03))


def test_an_adapter_has_not_the_size_of_its_model() -> None:
    offer = facts("org/lora-8B", {}, {"F32": 40_000_000}, library_name="peft")

    assert sizes(offer) == (None, None)
    assert "adapter" in offer.left_out["requirements"]


def test_a_pipeline_has_more_parts_than_the_one_that_is_counted() -> None:
    offer = facts("black-forest-labs/FLUX.1-dev", {}, {"BF16": 11_901_408_320}, library_name="diffusers")

    assert sizes(offer) == ("11.9B", None)
    assert "pipeline" in offer.left_out["requirements"]


def gguf(name: str, files: Mapping[str, int | None], **more: Any) -> Any:
    siblings = [{"rfilename": file} | ({"size": size} if size else {}) for file, size in files.items()]
    return facts(name, {}, siblings=siblings, gguf={"architecture": "qwen3moe", **more})


SHARDS = {f"Q4_K_M/Qwen3-235B-A22B-Q4_K_M-0000{n}-of-00003.gguf": 47_400_000_000 for n in (1, 2, 3)}


def test_all_shards_of_a_gguf_file_count() -> None:
    offer = gguf("unsloth/Qwen3-235B-A22B-GGUF", SHARDS, total=78_000_000_000)

    assert sizes(offer) == ("235B", 170.7)
    missing = gguf("unsloth/Qwen3-235B-A22B-GGUF", dict(list(SHARDS.items())[:2]), total=78_000_000_000)
    assert sizes(missing)[0] == "235B"


def test_a_first_shard_is_not_the_model() -> None:
    offer = gguf("org/model-GGUF", SHARDS, total=78_000_000_000)

    assert sizes(offer) == (None, 170.7)
    assert "first shard" in offer.left_out["parameters"]


def test_of_several_gguf_types_one_is_chosen_by_the_name() -> None:
    files = {"m-Q4_K_M.gguf": 5_030_000_000, "m-Q8_0.gguf": 8_710_000_000, "mmproj-F16.gguf": 800_000_000}

    several = gguf("org/m-GGUF", files, total=8_190_735_360)
    assert sizes(several) == ("8.2B", None)
    assert "org/m-GGUF:Q4_K_M" in several.left_out["requirements"]
    chosen = gguf("org/m-GGUF:q8_0", files, total=8_190_735_360)
    assert sizes(chosen) == ("8.2B", 10.5)
    assert chosen.fields["quantization"] == {"method": "gguf", "type": "Q8_0"}
    both = facts("org/m", {}, {"BF16": 8_190_735_360}, siblings=[{"rfilename": file} for file in files], gguf={})
    assert sizes(both) == ("8.2B", 19.7)
    assert chosen.fields["urls"] == {"huggingface": "https://huggingface.co/org/m-GGUF"}
    assert sizes(gguf("org/m-GGUF", {"m-Q4_K_M.gguf": None}, total=8_190_735_360)) == ("8.2B", 6.1)
    assert sizes(gguf("org/m-GGUF", {"m.gguf": None}, total=8_190_735_360))[1] is None


UNSURE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("TheBloke/Llama-2-70B-AWQ", {}),
    ("acme/Llama-3-8B-GPTQ-4bit", {}),
    ("acme/Qwen3-8B-FP8", {}),
    ("RedHatAI/Qwen3-8B-quantized.w4a16", {}),
    ("unsloth/Qwen3-8B-unsloth-bnb-4bit", {}),
    ("turboderp/Llama-3-8B-exl2", {}),
    ("acme/Qwen3-8B", {"tags": ["text-generation", "4-bit"]}),
    ("acme/Qwen3-8B", {"tags": ["compressed-tensors"]}),
)


@pytest.mark.parametrize(("name", "info"), UNSURE)
@pytest.mark.parametrize("config", [{}, {"model_type": "llama"}])
def test_a_name_that_says_quantized_has_no_memory_of_16_bits(name: str, info: Any, config: Any) -> None:
    offer = facts(name, config, None, pipeline_tag="text-generation", **info)
    assert sizes(offer) == ("70B" if "70B" in name else "8B", None)
    assert offer.left_out == {"requirements": "the bits of a quantized weight are not stated"}


def test_a_gguf_type_that_is_not_there_has_not_the_size_of_another() -> None:
    offer = gguf("acme/Llama-70B-GGUF:Q8_0", {"Llama-70B-Q4_K_M.gguf": 42 * 10**9}, total=70_553_706_496)
    assert sizes(offer) == ("70.6B", None)
    assert offer.left_out == {"requirements": "the repository lists no file of the type Q8_0"}
    assert sizes(gguf("acme/Llama-70B-GGUF:latest", {"Llama-70B-Q4_K_M.gguf": 42 * 10**9})) == ("70B", 50.4)


def test_pieces_of_a_gguf_file_count_together() -> None:
    pieces = {"L.i1-IQ3_XXS.gguf.part1of2": 14 * 10**9, "L.i1-IQ3_XXS.gguf.part2of2": 13_500_000_000}
    for kind in ("IQ3_XXS", "i1-IQ3_XXS"):
        offer = gguf(f"acme/Llama-70B-i1-GGUF:{kind}", pieces | {"L.i1-Q2_K.gguf": 26 * 10**9})
        assert sizes(offer) == ("70B", 33.0)
    # How many there are is not known here: by the type's bits.
    cut = {"l.Q8_0.gguf-split-a": 36 * 10**9, "l.Q8_0.gguf-split-b": 36 * 10**9, "l.Q4_K_M.gguf": 41 * 10**9}
    assert sizes(gguf("acme/Llama-70B-GGUF:Q8_0", cut)) == ("70B", 89.3)


@pytest.mark.parametrize("number", [float("inf"), float("nan"), 1e300, -5, True, "8", None, [1]])
def test_numbers_that_cannot_be_are_passed_over(number: Any) -> None:
    offer = facts(
        "org/model-8B", {"hidden_size": number, "max_position_embeddings": number}, {"BF16": number}, total=number
    )

    assert sizes(offer) == ("8B", 19.2)
    assert "context_length" not in offer.fields
    assert sizes(facts("org/model", {}, gguf={"total": number}))[1] is None


NUMBERS = st.sampled_from(
    [0, 1, 4, 8, 128, 4096, 8_000_000_000, 2**64, 10**400, 0.25, 1e-300, 1e300, -1, None, "4", True]
)
TYPES = ("I32", "U8", "U32", "BF16", "I64", "F8_E4M3", "Q9")
SECTIONS = st.fixed_dictionaries(
    {},
    optional={
        "quant_method": st.sampled_from(
            ["awq", "gptq", "mxfp4", "fp8", "compressed-tensors", "bitsandbytes", "hqq", 7]
        ),
        "bits": NUMBERS,
        "group_size": NUMBERS,
        "load_in_4bit": st.booleans(),
        "format": st.sampled_from(["pack-quantized", None]),
        "config_groups": st.dictionaries(
            st.sampled_from("ab"),
            st.fixed_dictionaries({"weights": st.fixed_dictionaries({"num_bits": NUMBERS, "group_size": NUMBERS})}),
        ),
    },
)
DIMENSIONS = (
    "hidden_size",
    "num_hidden_layers",
    "vocab_size",
    "intermediate_size",
    "num_attention_heads",
    "num_experts",
)
CONFIGS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys((*DIMENSIONS, "max_position_embeddings"), NUMBERS)
    | {
        "quantization_config": SECTIONS,
        "rope_scaling": st.fixed_dictionaries({"type": st.sampled_from(["yarn", "linear"]), "factor": NUMBERS}),
    },
)
FILES = st.lists(
    st.fixed_dictionaries(
        {
            "rfilename": st.sampled_from(["model.safetensors", "a-Q4_0.gguf", "b-00001-of-00002.gguf", 1]),
            "size": NUMBERS,
        }
    ),
    max_size=3,
)
COUNTS = st.dictionaries(st.sampled_from(TYPES), NUMBERS)
INFOS = st.fixed_dictionaries(
    {},
    optional={
        "safetensors": st.fixed_dictionaries({"parameters": COUNTS, "total": NUMBERS}),
        "gguf": st.dictionaries(st.sampled_from(["total", "totalFileSize", "context_length"]), NUMBERS),
        "siblings": FILES,
        "usedStorage": NUMBERS,
    },
)


@given(CONFIGS | st.fixed_dictionaries({"text_config": CONFIGS}), INFOS, st.sampled_from(["o/m", "o/m-8B", "m:Q4_0"]))
def test_any_json_is_read(config: dict[str, Any], info: dict[str, Any], name: str) -> None:
    for offer in read_huggingface(name, config, info, None).offers:
        memory, context = offer.fields.get("requirements"), offer.fields.get("context_length", 1)
        assert memory is None or 0 < memory["min_vram_gb"] <= 100_000
        assert 0 <= context < 2**31
        assert isinstance(context, int)
