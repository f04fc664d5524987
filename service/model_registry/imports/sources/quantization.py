"""Reads how a repository's weights are quantized: the method, its bits, and how packed weights stand in files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model_registry.entities.weight_bits import METHOD_BITS
from model_registry.imports.sources.model_config import Document, number_in, object_in, text_config, text_in
from model_registry.imports.sources.repository_files import gguf_files, is_gguf

_METHODS = {
    "awq": "awq",
    "gptq": "gptq",
    "fp8": "fp8",
    "fbgemm_fp8": "fp8",
    "finegrained_fp8": "fp8",
    "mxfp4": "mxfp4",
    "nvfp4": "nvfp4",
}
_QUANTIZED = re.compile(
    r"(?<![a-z0-9])(awq|gptq|(mx|nv)?fp[48]|int[2348]|[2-8]-?bit|w[248]a(4|8|16)|bnb|bitsandbytes|exl[23]|hqq|aqlm|quip|"
    r"autoround|quantized|nf4|compressed-tensors|mlx-\dbit)(?![a-z0-9])",
    re.IGNORECASE,
)
"""Words of names and tags of repositories whose weights are quantized."""
_MOST_TAGS = 500
_COMPRESSED = {("int", 4): "int4", ("int", 8): "int8", ("float", 8): "fp8"}
"""compressed-tensors: type and bits of the weights -> our method."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How packed weights stand in files."""

    containers: frozenset[str]
    """Types of the numbers that hold them."""
    numbers: float
    """Such numbers for one weight, with their zero points."""
    scales: float = 0.0
    """Other numbers for one weight: scales."""
    scale_bytes: float = 2.0
    is_counted: bool = True
    """Whether the Hub knows the layout, so that its newer counts are of weights."""
    is_given: bool = True
    """Whether the repository states the bits; otherwise they are the method's usual ones."""


@dataclass(frozen=True, slots=True)
class Quantization:
    """How weights are quantized."""

    method: str | None = None
    kind: str | None = None
    bits: float | None = None
    """Of one quantized weight, without its scales. None: not known."""
    overhead: float = 0.0
    """Bits of scales and zero points for one weight."""
    layout: Layout | None = None
    """None: one number a weight, or not known."""
    only_experts: bool = False
    """Whether attention stays as it was, and experts alone are quantized."""

    @property
    def fact(self) -> dict[str, str] | None:
        """The model's fact `quantization`."""
        named = {"method": self.method, "type": self.kind}
        return {name: value for name, value in named.items() if value} or None


def quantization_of(model_id: str, config: Document, info: Document) -> Quantization | None:
    """Read the quantization from the files, the configuration, its language model's part, or the Hub's excerpt."""
    if is_gguf(info, model_id):
        files = gguf_files(info, model_id)
        return Quantization("gguf", files[0].kind if len(files) == 1 else None)
    for document in (text_config(config), config, text_config(object_in(info, "config"))):
        for key in ("quantization_config", "compression_config", "quantization"):
            if section := object_in(document, key):
                return _of_section(section, document)
    # The name or a tag alone says that weights are smaller, and not by how much.
    return Quantization() if _says_quantized(model_id, info) else None


def _says_quantized(model_id: str, info: Document) -> bool:
    tags = info.get("tags")
    words = [model_id, *(tags[:_MOST_TAGS] if isinstance(tags, list) else ())]
    return any(isinstance(word, str) and _QUANTIZED.search(word) for word in words)


def _of_section(section: Document, document: Document) -> Quantization:
    kind = (text_in(section, "quant_method") or text_in(section, "quant_type") or "").lower()
    if kind == "bitsandbytes" or "load_in_4bit" in section or "load_in_8bit" in section:
        return _bitsandbytes(section)
    if not kind and number_in(section, "bits") and number_in(section, "group_size"):
        return _mlx(section)
    if kind == "compressed-tensors" or object_in(section, "config_groups"):
        return _compressed(section)
    if kind in ("awq", "gptq", "auto-round", "auto_round", "gptqmodel"):
        return _groups_of_integers(section, kind)
    if kind in ("modelopt", "modelopt_fp4", "modelopt_fp8"):
        kind = (text_in(section, "quant_algo") or kind.removeprefix("modelopt_").replace("fp4", "nvfp4")).lower()
        return _floats(section, document, _METHODS.get(kind), "modelopt")
    return _floats(section, document, _METHODS.get(kind), kind or None)


def _bitsandbytes(section: Document) -> Quantization:
    if section.get("load_in_4bit") is True or section.get("_load_in_4bit") is True:
        # An absmax for 64 weights, itself quantized to a byte.
        layout = Layout(frozenset({"U8"}), 1 / 2 + 1 / 64)
        return Quantization("4bit", "bitsandbytes", 4, layout=layout)
    return Quantization("8bit", "bitsandbytes", 8)


def _mlx(section: Document) -> Quantization:
    """MLX packs weights into U32, and has a scale and a bias for each group."""
    bits, group = number_in(section, "bits") or 4, number_in(section, "group_size") or 64
    floats = text_in(section, "mode") in ("mxfp4", "nvfp4")
    scales = 1 / group if floats else 2 / group
    layout = Layout(frozenset({"U32"}), bits / 32, scales, 1 if floats else 2, is_counted=False)
    method = text_in(section, "mode") if floats else {4: "4bit", 8: "8bit"}.get(round(bits))
    # Layers with other bits have entries of their own.
    layers = (number_in(part, "bits") for part in section.values() if isinstance(part, Mapping))
    is_mixed = any(other not in (None, bits) for other in layers)
    layout = Layout(frozenset({"U32"}), 0) if is_mixed else layout
    return Quantization(method, "mlx", None if is_mixed else bits, 8 * scales * layout.scale_bytes, layout)


def _groups_of_integers(section: Document, kind: str) -> Quantization:
    """AWQ and GPTQ pack weights into I32, and have a scale and a zero point for each group."""
    given, group = number_in(section, "bits", "w_bit"), number_in(section, "group_size", "q_group_size")
    bits = given or 4
    scales = 1 / group if group else 0.0
    layout = Layout(frozenset({"I32"}), bits / 32 * (1 + scales), scales, is_given=given is not None)
    method = _METHODS.get(kind) or {4: "int4", 8: "int8"}.get(round(bits))
    return Quantization(method, kind, bits, scales * (16 + bits), layout, _spares_attention(section))


def _compressed(section: Document) -> Quantization:
    """compressed-tensors: integers packed into I32, FP4 into U8, others one number a weight."""
    groups = object_in(section, "config_groups").values()
    weights = [part for group in groups if isinstance(group, Mapping) and (part := object_in(group, "weights"))]
    written = {(text_in(part, "type") or "int", number_in(part, "num_bits")) for part in weights}
    kind = "compressed-tensors"
    if len(written) != 1:
        return Quantization(None, kind, layout=Layout(frozenset({"I32", "U8"}), 0) if written else None)
    ((type_, bits),) = written
    group, form = number_in(weights[0], "group_size"), text_in(section, "format") or ""
    scales = 1 / group if group else 0.0
    experts = _spares_attention(section)
    if type_ == "float" and bits == 4:  # noqa: PLR2004 (FP4)
        fp4 = "mxfp4" if "mxfp4" in form or group == 32 else "nvfp4"  # noqa: PLR2004 (MXFP4's blocks)
        return Quantization(fp4, kind, 4, 8 * scales, _fp4(fp4), experts)
    zeros = scales if weights[0].get("symmetric") is False else 0.0
    layout = None
    if bits is not None and (form.endswith("pack-quantized") or bits < 8):  # noqa: PLR2004 (a byte)
        layout = Layout(frozenset({"I32"}), bits / 32 * (1 + zeros), scales)
    method = _COMPRESSED.get((type_, round(bits))) if bits else None
    return Quantization(method, kind, bits, 16 * scales + (bits or 0) * zeros, layout, experts)


def _floats(section: Document, document: Document, method: str | None, kind: str | None) -> Quantization:
    """FP8 and FP4: one number a weight, or two in a byte with a scale for each block."""
    expert = text_in(document, "expert_dtype")
    if method == "fp8" and expert is not None and "fp4" in expert.lower():
        layout = Layout(frozenset({"I8", "U8"}), 1 / 2, 1 / 32, 1)
        return Quantization(method, kind, 4, 8 / 32, layout, only_experts=True)
    if method in ("mxfp4", "nvfp4"):
        block = 32 if method == "mxfp4" else 16
        # Transformers quantizes only experts to MXFP4.
        experts = method == "mxfp4" or _spares_attention(section)
        return Quantization(method, kind, 4, 8 / block, _fp4(method), experts)
    if method is None and kind is not None:
        return Quantization(None, kind, layout=Layout(frozenset({"I32", "U8", "U32"}), 0))
    bits = number_in(section, "bits") or METHOD_BITS.get(method or "")
    return Quantization(method, kind, bits, only_experts=_spares_attention(section))


def _fp4(method: str) -> Layout:
    """MXFP4 has its scales in bytes as well, NVFP4 in F8."""
    if method == "mxfp4":
        return Layout(frozenset({"U8"}), 1 / 2 + 1 / 32)
    return Layout(frozenset({"U8"}), 1 / 2, 1 / 16, 1)


def _spares_attention(section: Document) -> bool:
    spared: list[Any] = []
    for key in ("ignore", "modules_to_not_convert", "exclude_modules"):
        listed = section.get(key)
        spared += listed if isinstance(listed, list) else []
    return any(isinstance(name, str) and "attn" in name for name in spared[:10_000])
