"""Whether a model is fit for a use: below the minimum is an error, below the recommendation a warning."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from model_registry.entities.fitness import Hardware, Use, check_fitness
from model_registry.entities.gpu_memory import TrainingSettings, training_gb

MODEL: dict[str, Any] = {
    "id": "m",
    "status": "stable",
    "capabilities": {"training": True, "inference": True},
    "requirements": {
        "min_vram_gb": 16,
        "recommended_vram_gb": 24,
        "min_ram_gb": 32,
        "cuda_compute_capability": "9.0",
        "min_gpus": 2,
    },
}
ENOUGH = {"vram_gb": 24, "ram_gb": 32, "gpus": 2, "cuda_compute_capability": "9.0"}


def test_what_is_enough_is_enough() -> None:
    found = check_fitness(MODEL, "training", Hardware(**ENOUGH))

    assert (found.is_valid, found.error_message, found.errors, found.warnings) == (True, None, [], [])


@pytest.mark.parametrize(
    ("short", "words"),
    [
        ({"vram_gb": 15.5}, "needs 16 GB of GPU memory, and there are 15.5"),
        ({"ram_gb": 8}, "needs 32 GB of memory, and there are 8"),
        ({"gpus": 1}, "needs 2 GPUs, and there are 1"),
        ({"cuda_compute_capability": "8.9"}, "needs CUDA compute capability 9.0, and there is 8.9"),
    ],
    ids=str,
)
def test_what_is_short_is_named(short: dict[str, Any], words: str) -> None:
    found = check_fitness(MODEL, "inference", Hardware(**{**ENOUGH, **short}))

    assert not found.is_valid
    assert [words in error for error in found.errors] == [True]
    assert found.error_message == found.errors[0]


def test_all_shortages_are_reported_at_once() -> None:
    found = check_fitness(MODEL, "training", Hardware(vram_gb=1, ram_gb=1, gpus=1, cuda_compute_capability="1.0"))

    assert len(found.errors) == 4
    assert found.error_message == "; ".join(found.errors)


def test_between_least_and_recommended_is_a_warning() -> None:
    found = check_fitness(MODEL, "training", Hardware(vram_gb=16))

    assert found.is_valid
    assert found.warnings == ["24 GB of GPU memory are recommended, and there are 16"]


@pytest.mark.parametrize("given", ["10.0", 10, 10.0, "12.1"])
def test_compute_capabilities_are_numbers(given: Any) -> None:
    assert check_fitness(MODEL, "training", Hardware(cuda_compute_capability=given)).is_valid


def test_unknown_values_are_not_reported() -> None:
    assert check_fitness(MODEL, "training").is_valid
    assert check_fitness({**MODEL, "requirements": None}, "training", Hardware(**ENOUGH)).is_valid


@pytest.mark.parametrize("status", ["deprecated", "disabled", "maintenance"])
def test_a_model_that_should_not_be_used_names_its_heir(status: str) -> None:
    found = check_fitness({**MODEL, "status": status, "replaced_by": "n"}, "inference")

    assert not found.is_valid
    assert status in found.errors[0]
    assert "use 'n' instead" in found.errors[0]


def test_experimental_models_are_valid_with_a_warning() -> None:
    found = check_fitness({**MODEL, "status": "experimental"}, "inference")

    assert (found.is_valid, len(found.warnings)) == (True, 1)


def test_a_model_must_support_the_use() -> None:
    nothing = {**MODEL, "capabilities": {"training": False, "inference": False}}

    assert "does not support training" in check_fitness(nothing, "training", served=True).errors[0]
    assert "does not support inference" in check_fitness(nothing, "inference").errors[0]
    assert check_fitness(nothing, "inference", served=True).is_valid, "its provider serves it, whatever its tags say"


def test_a_model_that_is_switched_off_is_not_used() -> None:
    assert not check_fitness({**MODEL, "active": False}, "inference").is_valid


PLAIN: dict[str, Any] = {**MODEL, "requirements": None}


def test_memory_is_the_larger_of_both_figures() -> None:
    """`selection/constraints.py` has the same rule."""
    loaded = {**PLAIN, "vram_mb": 18_432}

    short = check_fitness(loaded, "inference", Hardware(vram_gb=12))
    assert short.errors == ["It needs 19.33 GB of GPU memory, and there are 12"]
    assert check_fitness(loaded, "inference", Hardware(vram_gb=20)).is_valid
    assert not check_fitness({**MODEL, "vram_mb": 30_000}, "inference", Hardware(vram_gb=24)).is_valid
    assert not check_fitness({**MODEL, "vram_mb": 1000}, "inference", Hardware(vram_gb=12)).is_valid


def test_memory_that_is_not_known_is_a_warning_where_it_is_asked_for() -> None:
    found = check_fitness({**PLAIN, "parameters": "30B"}, "inference", Hardware(vram_gb=12))

    assert found.is_valid
    assert found.warnings == [
        "Nothing is known of its memory, so whether it fits is not checked; it has 30B parameters",
    ]
    assert check_fitness(PLAIN, "inference", Hardware(ram_gb=12)).warnings == []


@pytest.mark.parametrize(
    "weights",
    [
        {"quantization": {"method": "gguf"}},
        {"quantization": {"type": "Q4_K_M"}},
        {"model_id": "unsloth/Qwen3-8B-GGUF:Q4_K_M"},
        {"framework": "gguf"},
        {"id": "llama3.1:8b-instruct-q4_K_M"},
    ],
)
def test_gguf_is_not_trained(weights: dict[str, Any]) -> None:
    assert "GGUF" in (check_fitness({**MODEL, **weights}, "training").error_message or "")
    assert check_fitness({**MODEL, **weights}, "inference").is_valid
    assert check_fitness({**MODEL, "quantization": {"type": "BF16"}}, "training").is_valid


@pytest.mark.parametrize("kind", ["mxfp4", "BF16", "MXFP4_MOE"])
def test_types_that_gguf_shares_with_others_are_trained(kind: str) -> None:
    weights = {"id": "openai/gpt-oss-20b", "quantization": {"method": "mxfp4", "type": kind}}

    assert check_fitness({**MODEL, **weights}, "training").is_valid


def test_quantized_weights_are_not_trained_in_full() -> None:
    quantized = {**PLAIN, "parameters": "8B", "quantization": {"method": "awq"}}

    assert not check_fitness(quantized, "training", training=TrainingSettings(method="full")).is_valid
    assert check_fitness(quantized, "training", training=TrainingSettings(method="lora")).is_valid


@pytest.mark.parametrize(
    ("parameters", "settings", "published"),
    [
        # ZeRO: 16 bytes a parameter; DeepSpeed and PyTorch say 120 GB and 112 GB for 7.5 and 7 billion.
        ("7.5B", {"method": "full", "sequence_length": 512}, 120),
        # QLoRA: 65 billion in less than 48 GB, 33 billion in less than 24 GB.
        ("65B", {"method": "qlora", "sequence_length": 512}, 40),
        ("33B", {"method": "qlora", "sequence_length": 512}, 21),
        # Unsloth's table: 8 billion with LoRA 22 GB, 70 billion with QLoRA 41 GB.
        ("8B", {"method": "lora"}, 22),
        ("70B", {"method": "qlora"}, 44),
    ],
)
def test_training_memory_is_near_published_figures(parameters: str, settings: dict[str, Any], published: float) -> None:
    plan = TrainingSettings(**settings)
    assert plan.method

    assert training_gb({"parameters": parameters}, plan, plan.method) == pytest.approx(published, rel=0.1)


def test_training_memory_grows_with_what_it_depends_on() -> None:
    model = {**PLAIN, "parameters": "8B"}

    def needed(**settings: Any) -> float:
        return training_gb(model, TrainingSettings(**settings), settings.get("method", "qlora"))

    assert needed(method="qlora") < needed(method="lora") < needed(method="full")
    assert needed() < needed(sequence_length=4096) == needed(batch_size=2)
    assert needed(lora_rank=8) < needed() < needed(lora_rank=64)
    assert (
        needed(method="full", optimizer="adafactor")
        < needed(method="full", optimizer="adamw_8bit")
        < needed(method="full")
    )
    rank = {**model, "training_defaults": {"lora_config": {"r": 64}}}
    assert training_gb(rank, TrainingSettings(), "qlora") == needed(lora_rank=64)


def test_training_is_compared_by_its_method() -> None:
    model, gpu = {**PLAIN, "parameters": "8B"}, Hardware(gpu="RTX 4090")

    def check(**settings: Any) -> Any:
        return check_fitness(model, "training", gpu, training=TrainingSettings(**settings))

    assert "full needs about 132.4 GB" in check(method="full").error_message
    assert check(method="qlora").is_valid
    assert "qlora needs about 9.4 GB" in check(method="qlora").warnings[0]
    least = check()
    assert (least.is_valid, len(least.warnings)) == (True, 1)
    assert "method full" in least.warnings[0]
    assert not check_fitness({**PLAIN, "parameters": "30B"}, "training", Hardware(vram_gb=12)).is_valid
    unknown = check_fitness(PLAIN, "training", gpu, training=TrainingSettings(method="lora"))
    assert (unknown.is_valid, len(unknown.warnings)) == (True, 2)


def test_memory_estimated_for_inference_does_not_speak_of_training() -> None:
    model = {**MODEL, "parameters": "8B", "requirements": {"min_vram_gb": 19.2}}
    imported = {**model, "field_sources": {"requirements": "huggingface (estimate)"}}

    assert check_fitness(model, "training", Hardware(vram_gb=20)).warnings == []
    (warning_lora, warning_full) = check_fitness(imported, "training", Hardware(vram_gb=20)).warnings
    assert ("lora" in warning_lora, "full" in warning_full) == (True, True)
    assert check_fitness(imported, "training", Hardware(vram_gb=10)).is_valid, "QLoRA fits"
    assert not check_fitness(imported, "inference", Hardware(vram_gb=10)).is_valid


def test_values_that_mean_nothing_are_passed_over() -> None:
    """Rows written in SQL may hold any JSON."""
    odd = {"requirements": [8], "quantization": "awq", "field_sources": 1, "parameters": 8, "vram_mb": True}
    deep = {
        "requirements": {
            "min_vram_gb": "8",
            "min_gpus": None,
            "min_ram_gb": {},
            "cuda_compute_capability": "sm_90",
        },
        "training_defaults": {"lora_config": 1},
    }

    for part in (odd, deep | {"parameters": "8B"}):
        for use in get_args(Use):
            check_fitness({**MODEL, **part}, use, Hardware(vram_gb=8, gpu="RTX 4090", ram_gb=1))


def test_a_gpu_by_name_has_its_memory_and_its_capability() -> None:
    model = {**MODEL, "requirements": {"min_vram_gb": 30, "min_gpus": 2, "cuda_compute_capability": "8.9"}}

    one = check_fitness(model, "inference", Hardware(gpu="RTX 4090"))
    assert one.errors == ["It needs 30 GB of GPU memory, and there are 24", "It needs 2 GPUs, and there are 1"]
    assert check_fitness(model, "inference", Hardware(gpu="RTX 4090", gpus=2)).errors == []
    old = check_fitness(model, "inference", Hardware(gpu="V100 32 GB", gpus=2))
    assert old.errors == ["It needs CUDA compute capability 8.9, and there is 7.0"]
    assert "has no CUDA" in check_fitness(model, "inference", Hardware(gpu="MI300X", gpus=2)).warnings[0]
    assert Hardware(gpu="RTX 4090", vram_gb=20).memory_gb == 20
    with pytest.raises(ValidationError, match="the nearest are 'RTX 4090'"):
        Hardware(gpu="RTX 4900")
