"""Parsing the output of nvidia-smi."""

from __future__ import annotations

from typing import Any

import pytest

from model_registry.node_agent.gpus import parse

ONE = "0, 32768, 10240, 22528, 17, 54, 130.50, 575.00, NVIDIA GeForce RTX 5090"
TWO = "1, 24576, 0, 24576, 0, 30, [N/A], [N/A], NVIDIA A10, with a comma"
SHARED = "0, [N/A], [N/A], [N/A], 3, 41, 12.10, [N/A], NVIDIA GB10"


def test_one_gpu_is_reported_as_running_publishers_do() -> None:
    (gpu,) = parse(ONE)

    assert gpu == {
        "gpu_index": 0,
        "total_vram_mb": 32768,
        "used_vram_mb": 10240,
        "free_vram_mb": 22528,
        "utilization_percent": 17,
        "temperature_c": 54,
        "power_draw_w": 130.5,
        "power_limit_w": 575.0,
        "name": "NVIDIA GeForce RTX 5090",
    }


def test_several_gpus_are_listed() -> None:
    one, two = parse(f"{ONE}\n{TWO}\n")

    assert (one["name"], two["name"]) == ("NVIDIA GeForce RTX 5090", "NVIDIA A10, with a comma")
    assert "power_draw_w" not in two


def test_what_a_gpu_does_not_tell_is_not_made_up() -> None:
    (gpu,) = parse(SHARED)

    assert gpu == {
        "gpu_index": 0,
        "utilization_percent": 3,
        "temperature_c": 41,
        "power_draw_w": 12.1,
        "name": "NVIDIA GB10",
    }


@pytest.mark.parametrize(("answer", "expected"), [("", []), ("\n", ValueError), ("No devices were found", ValueError)])
def test_no_gpu_is_nothing_and_nonsense_is_an_error(answer: str, expected: Any) -> None:
    if expected is ValueError:
        with pytest.raises(ValueError, match="it answers"):
            parse(answer)
    else:
        assert parse(answer) == expected
