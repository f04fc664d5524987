"""GPUs by name: the memory and the CUDA compute capability of one.

Memory as its maker states it, in GB: product pages and data sheets of NVIDIA, AMD and Intel. (Makers mean 2^30 bytes;
the CUDA context, a display and ECC take about the difference to 10^9.) Capability: developer.nvidia.com/cuda-gpus.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated

from pydantic import StringConstraints

from model_registry.entities.base import without


@dataclass(frozen=True, slots=True)
class Gpu:
    """A kind of GPU."""

    name: str
    memory_gb: int
    capability: str | None = None
    """CUDA compute capability; None: not a CUDA device."""


# One line a generation: capability, then name: memory; several memories of one name need the memory in it.
_NVIDIA = """
12.1 DGX Spark: 128 | GB10: 128
12.0 RTX 5090: 32 | RTX 5090 D: 32 | RTX 5080: 16 | RTX 5070 Ti: 16 | RTX 5070: 12 | RTX 5060 Ti: 8, 16 | RTX 5060: 8
12.0 RTX 5050: 8 | RTX 5090 Laptop: 24 | RTX 5080 Laptop: 16 | RTX 5070 Ti Laptop: 12 | RTX 5070 Laptop: 8
12.0 RTX PRO 6000: 96 | RTX PRO 6000 Max-Q: 96 | RTX PRO 5000: 48, 72 | RTX PRO 4500: 32 | RTX PRO 4000: 24
10.3 B300: 288 | GB300: 288
10.0 B200: 180 | GB200: 186
9.0 H200: 141 | H200 NVL: 141 | H100: 80 | H100 NVL: 94 | H800: 80 | H20: 96 | GH200: 96, 144
8.9 RTX 4090: 24 | RTX 4090 D: 24 | RTX 4080 Super: 16 | RTX 4080: 16 | RTX 4070 Ti Super: 16 | RTX 4070 Ti: 12
8.9 RTX 4070 Super: 12 | RTX 4070: 12 | RTX 4060 Ti: 8, 16 | RTX 4060: 8
8.9 RTX 4090 Laptop: 16 | RTX 4080 Laptop: 12 | RTX 4070 Laptop: 8 | RTX 4060 Laptop: 8 | RTX 4050 Laptop: 6
8.9 RTX 6000 Ada: 48 | RTX 5000 Ada: 32 | RTX 4500 Ada: 24 | RTX 4000 Ada: 20 | RTX 4000 SFF Ada: 20 | RTX 2000 Ada: 16
8.9 L40S: 48 | L40: 48 | L20: 48 | L4: 24
8.7 Jetson AGX Orin: 32, 64 | Jetson Orin NX: 8, 16 | Jetson Orin Nano: 4, 8
8.6 RTX 3090 Ti: 24 | RTX 3090: 24 | RTX 3080 Ti: 12 | RTX 3080: 10, 12 | RTX 3070 Ti: 8 | RTX 3070: 8 | RTX 3060 Ti: 8
8.6 RTX 3060: 8, 12 | RTX 3050: 6, 8 | RTX 3080 Ti Laptop: 16 | RTX 3080 Laptop: 8, 16 | RTX 3070 Laptop: 8
8.6 RTX 3060 Laptop: 6
8.6 RTX A6000: 48 | RTX A5500: 24 | RTX A5000: 24 | RTX A4500: 20 | RTX A4000: 16 | RTX A2000: 6, 12
8.6 A40: 48 | A10: 24 | A10G: 24 | A16: 16 | A2: 16
8.0 A100: 40, 80 | A800: 40, 80 | A30: 24
7.5 RTX 2080 Ti: 11 | RTX 2080 Super: 8 | RTX 2080: 8 | RTX 2070 Super: 8 | RTX 2070: 8
7.5 RTX 2060: 6, 12 | Titan RTX: 24
7.5 RTX 8000: 48 | RTX 6000: 24 | RTX 5000: 16 | RTX 4000: 8 | T4: 16 | GTX 1660 Ti: 6 | GTX 1660 Super: 6 | GTX 1650: 4
7.0 V100: 16, 32 | V100S: 32 | Titan V: 12
6.1 GTX 1080 Ti: 11 | GTX 1080: 8 | GTX 1070 Ti: 8 | GTX 1070: 8 | GTX 1060: 3, 6 | Titan Xp: 12 | P40: 24 | P4: 8
6.0 P100: 12, 16
"""
_OTHERS = """
MI355X: 288 | MI350X: 288 | MI325X: 256 | MI300X: 192 | MI300A: 128 | MI250X: 128 | MI250: 128 | MI210: 64 | MI100: 32
RX 9070 XT: 16 | RX 9070: 16 | RX 9060 XT: 8, 16 | R9700: 32 | RX 7900 XTX: 24 | RX 7900 XT: 20 | RX 7900 GRE: 16
RX 7800 XT: 16 | RX 7700 XT: 12 | RX 7600 XT: 16 | RX 7600: 8 | RX 6950 XT: 16 | RX 6900 XT: 16 | RX 6800 XT: 16
RX 6800: 16 | RX 6750 XT: 12 | RX 6700 XT: 12 | RX 6600 XT: 8 | RX 6600: 8 | MI60: 32 | MI50: 16, 32
Radeon PRO W7900: 48 | Radeon PRO W7800: 32, 48 | Arc A770: 8, 16 | Arc A750: 8 | Arc A580: 8 | Arc A380: 6
Arc B580: 12 | Arc B570: 10 | Arc B60: 24
Gaudi 2: 96 | Gaudi 3: 128
"""


def _rows(text: str, *, with_capability: bool) -> Iterator[Gpu]:
    for line in text.split("\n"):
        capability, rest = line.split(" ", 1) if with_capability and line else (None, line)
        for part in rest.split(" | ") if rest else ():
            name, _, sizes = part.partition(": ")
            several = ", " in sizes
            for size in sizes.split(", "):
                yield Gpu(f"{name} {size} GB" if several else name, int(size), capability)


GPUS = (*_rows(_NVIDIA, with_capability=True), *_rows(_OTHERS, with_capability=False))

_BRANDS = frozenset(
    {"nvidia", "amd", "intel", "geforce", "tesla", "quadro", "instinct", "radeon", "generation", "gpu", "graphics"}
    | {"blackwell", "workstation", "server", "edition", "accelerator", "pcie", "oam", "sxm", "sxm2", "sxm3", "sxm4"}
    | {"sxm5", "sxm6", "hbm2", "hbm2e", "hbm3", "hbm3e", "gddr6", "gddr6x", "gddr7"}
)
"""Words that makers and drivers add to names: `NVIDIA A100-SXM4-80GB`, `NVIDIA GeForce RTX 4090`."""
_SERIES = ("", "rtx", "gtx", "rx", "arc", "rtxa")
_TRIES = 60


def _key(name: str) -> str:
    words = re.findall(r"[a-z0-9]+", name.lower())
    return "".join(word for word in words if word not in _BRANDS)


def _index() -> dict[str, list[Gpu]]:
    index: dict[str, list[Gpu]] = {}
    for gpu in GPUS:
        plain = _key(gpu.name.removesuffix(f" {gpu.memory_gb} GB"))
        index.setdefault(plain, []).append(gpu)
        index.setdefault(f"{plain}{gpu.memory_gb}gb", []).append(gpu)
    return index


_BY_KEY = _index()


def gpus_named(name: str) -> list[Gpu]:
    """Return the GPUs that a name can mean: one; several of different memory; or none. Prefixes may be left out."""
    key = _key(name)
    return next((found for series in _SERIES if (found := _BY_KEY.get(series + key))), [])


def gpu_problem(name: str) -> str | None:
    """Return why a name does not tell which GPU is meant, with the nearest names; None if it does."""
    found = gpus_named(name)
    if len(found) == 1:
        return None
    if found:
        return f"comes with different memory: write {' or '.join(repr(gpu.name) for gpu in found)}"
    key = _key(name)[:_TRIES]
    close = [_BY_KEY[k][0].name for s in _SERIES for k in get_close_matches(s + key, _BY_KEY, 2, 0.75)] if key else []
    nearest = list(dict.fromkeys(close))[:3]
    hint = f"; the nearest are {', '.join(map(repr, nearest))}" if nearest else ""
    return f"is not a GPU that the registry knows{hint}. Give vram_gb instead"


GpuName = Annotated[str, StringConstraints(min_length=1, max_length=100), without(gpu_problem)]
"""A name that tells which GPU is meant."""


def gpu_memory_gb(name: str, count: int) -> float:
    """Return the memory of some GPUs of a valid name, GB."""
    return float(gpus_named(name)[0].memory_gb * count)
