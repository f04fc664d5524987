"""Whether a model is fit for a use: below the minimum is an error, below the recommendation a warning."""

from __future__ import annotations

from typing import Any

import pytest

from model_registry.entities.fitness import Hardware, check_fitness

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
