"""GPUs by name: as people, makers and drivers write them."""

from __future__ import annotations

import pytest

from model_registry.entities.gpus import GPUS, gpu_problem, gpus_named


@pytest.mark.parametrize(
    ("written", "name", "memory"),
    [
        ("RTX 4090", "RTX 4090", 24),
        ("NVIDIA GeForce RTX 4090", "RTX 4090", 24),
        ("rtx4090", "RTX 4090", 24),
        ("4090", "RTX 4090", 24),
        ("RTX 4090 24GB", "RTX 4090", 24),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "RTX 4090 Laptop", 16),
        ("NVIDIA A100-SXM4-80GB", "A100 80 GB", 80),
        ("Tesla V100-SXM2-16GB", "V100 16 GB", 16),
        ("NVIDIA H100 80GB HBM3", "H100", 80),
        ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada", 48),
        ("Quadro RTX 6000", "RTX 6000", 24),
        ("A6000", "RTX A6000", 48),
        ("Tesla T4", "T4", 16),
        ("AMD Instinct MI300X", "MI300X", 192),
        ("NVIDIA H200 NVL", "H200 NVL", 141),
        ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", "RTX PRO 6000 Max-Q", 96),
        ("NVIDIA GeForce RTX 3060 Laptop GPU", "RTX 3060 Laptop", 6),
        ("Tesla V100S-PCIE-32GB", "V100S", 32),
    ],
)
def test_a_gpu_is_found_by_what_it_is_called(written: str, name: str, memory: int) -> None:
    (gpu,) = gpus_named(written)

    assert (gpu.name, gpu.memory_gb, gpu_problem(written)) == (name, memory, None)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("RTX 4900", "the nearest are 'RTX 4090'"),
        ("A100", "write 'A100 40 GB' or 'A100 80 GB'"),
        ("potato", "not a GPU that the registry knows"),
        ("!", "vram_gb"),
        ("9" * 100, "vram_gb"),
    ],
)
def test_a_name_that_does_not_tell_is_refused_with_the_nearest(written: str, words: str) -> None:
    assert words in (gpu_problem(written) or "")


def test_every_gpu_is_found_by_its_own_name() -> None:
    assert [gpus_named(gpu.name) for gpu in GPUS] == [[gpu] for gpu in GPUS]
