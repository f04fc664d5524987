"""Reads the facts about a language model from its `config.json`: where it stands, its context, its parameters.

Pure. Vision, speech and other parts have keys of their own around the language model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model_registry.imports.sources.model_size import LARGEST

Document = Mapping[str, Any]

_INNER = ("thinker_config", "text_config", "llm_config", "language_config", "language_model_config", "llm_cfg")
"""Where the language model stands: Qwen-Omni (`thinker_config.text_config`), most, InternVL, DeepSeek-VL, NVILA."""
_DEEPEST = 4


def text_config(config: Document) -> dict[str, Any]:
    """Return the language model's facts. What is missing or null inside is taken from outside."""
    merged, layer = _present(config), config
    for _ in range(_DEEPEST):
        inner = next((part for key in _INNER if (part := object_in(layer, key))), None)
        # LLaVA's first format has a text_config of mere default values.
        if inner is None or _is_old_llava(layer):
            break
        merged |= _present(inner)
        layer = inner
    return merged


def _is_old_llava(config: Document) -> bool:
    names = config.get("architectures")
    name = names[0] if isinstance(names, list) and names else None
    return isinstance(name, str) and name.startswith("Llava") and name.endswith("ForCausalLM")


def _present(config: Document) -> dict[str, Any]:
    return {key: value for key, value in config.items() if value is not None}


def object_in(of: Document, key: str) -> dict[str, Any]:
    """Return an object; empty if there is none."""
    return as_object(of.get(key))


def as_object(value: object) -> dict[str, Any]:
    """Return a value that is an object, and an empty one for any other."""
    return dict(value) if isinstance(value, Mapping) else {}


def text_in(of: Document, key: str) -> str | None:
    """Return a text; None if there is none."""
    value = of.get(key)
    return value if isinstance(value, str) and value else None


def number_in(of: Document, *keys: str) -> float | None:
    """Return the first number above zero that can be meant; None if there is none."""
    for key in keys:
        value = of.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < LARGEST:
            return value
    return None


_CONTEXT = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "max_sequence_length",
    "max_seq_length",
    "seq_len",
    "max_target_positions",
)
_OFFSET = frozenset({"roberta", "xlm_roberta", "xlm_roberta_xl", "camembert", "longformer", "mpnet"})
"""Architectures that count positions from behind the number of padding (Transformers' `create_position_ids`)."""
_UNSCALED = frozenset({"default", "mrope", "llama3", "longrope", "su", "proportional"})
"""Kinds of position scaling where `max_position_embeddings` is the scaled length already."""


def context_length(text: Document) -> int | None:
    """Return the longest context, by vLLM's rules (`_get_and_verify_max_len`).

    YaRN: the original length times the factor, whether or not `max_position_embeddings` is scaled. Linear and dynamic
    scaling: the length times the factor, except for Gemma 3, whose length is scaled.
    """
    lengths = [number for key in _CONTEXT if (number := number_in(text, key))]
    length = number_in(text, "model_max_length") or (min(lengths) if lengths else None)
    if "gemma3" not in (text_in(text, "model_type") or ""):
        length = max((s for rope in _ropes(text) if (s := _scaled(length, rope, text))), default=length)
    if (text_in(text, "model_type") or "").replace("-", "_") in _OFFSET and length in lengths:
        # The first positions are of padding: 514 positions are 512 tokens.
        padding = text.get("pad_token_id")
        length -= 1 + (padding if isinstance(padding, int) and 0 <= padding < length - 1 else 1)
    return (round(length) or None) if length is not None and 0 < length < LARGEST else None


def _ropes(text: Document) -> Iterator[Document]:
    """Yield the scalings: `rope_scaling`, or Transformers 5's `rope_parameters`, of all layers or by kind of layer."""
    for key in ("rope_scaling", "rope_parameters"):
        if rope := object_in(text, key):
            yield rope
            yield from (part for part in rope.values() if isinstance(part, Mapping))


def _scaled(length: float | None, rope: Document, text: Document) -> float | None:
    kind = text_in(rope, "rope_type") or text_in(rope, "type") or "default"
    factor = number_in(rope, "factor")
    original = number_in(rope, "original_max_position_embeddings")
    original = original or number_in(text, "original_max_position_embeddings")
    if kind in _UNSCALED or factor is None or factor < 1:
        return None
    base = original or length
    return None if base is None else base * factor


@dataclass(frozen=True, slots=True)
class Shape:
    """The number of weights that an architecture has."""

    total: float
    experts: float
    """In experts that are chosen by token; of all of them."""
    embeddings: float


_UNGATED = frozenset(
    {"gpt2", "gpt_neo", "gpt_neox", "gptj", "gpt_bigcode", "opt", "bloom", "falcon", "mpt", "phi", "starcoder2"}
    | {"nemotron", "codegen", "bert", "roberta", "xlm-roberta", "distilbert", "camembert", "electra"}
)
"""Architectures whose feed-forward layers are two matrices, not three."""
_TIED = ("gemma", "gpt2", "bert", "roberta", "electra")
"""Architectures that have one matrix for both embeddings unless they say otherwise."""


def shape_of(text: Document) -> Shape | None:
    """Count the weights by the dimensions; None where dimensions are missing.

    Norms, biases, vision and state-space parts are left out: within a few percent for usual language models.
    """
    width, layers = number_in(text, "hidden_size", "n_embd", "d_model"), number_in(text, "num_hidden_layers", "n_layer")
    vocabulary = number_in(text, "vocab_size", "padded_vocab_size")
    kind = text_in(text, "model_type") or ""
    matrices = 2 if kind in _UNGATED else 3
    inner = number_in(text, "intermediate_size", "n_inner", "ffn_hidden_size", "ffn_dim")
    if inner is None and width and kind in _UNGATED:
        inner = 4 * width
    moe_inner = number_in(text, "moe_intermediate_size", "expert_ffn_hidden_size") or inner
    if width is None or layers is None or vocabulary is None or moe_inner is None:
        return None
    experts = number_in(text, "num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts") or 0
    sparse = _sparse_layers(text, layers) if experts > 1 else 0
    routed = sparse * experts * matrices * width * moe_inner
    dense = (layers - sparse) * matrices * width * (number_in(text, "intermediate_size_mlp") or inner or moe_inner)
    shared = sparse * matrices * width * _shared_inner(text, moe_inner)
    tied = text.get("tie_word_embeddings")
    is_tied = tied if isinstance(tied, bool) else any(word in kind for word in _TIED)
    embeddings = vocabulary * width * (1 if is_tied else 2)
    total = layers * _attention(text, width) + routed + dense + shared + sparse * width * experts + embeddings
    return Shape(total, routed, embeddings) if 0 < total < LARGEST else None


def _sparse_layers(text: Document, layers: float) -> float:
    """Count the layers with experts."""
    listed, dense = text.get("moe_layers"), text.get("mlp_only_layers")
    if isinstance(listed, list) and listed:
        return min(len(listed), layers)
    step = number_in(text, "decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_freq") or 1
    first = number_in(text, "first_k_dense_replace") or 0
    others = len(dense) if isinstance(dense, list) else 0
    return max(math.floor((layers - first) / step) - others, 0)


def _shared_inner(text: Document, moe_inner: float) -> float:
    """Return the width of what all tokens go through beside the experts."""
    if width := number_in(text, "shared_expert_intermediate_size", "moe_shared_expert_intermediate_size"):
        return width
    if "llama4" in (text_in(text, "model_type") or ""):
        return moe_inner
    return (number_in(text, "n_shared_experts", "num_shared_experts") or 0) * moe_inner


def _attention(text: Document, width: float) -> float:
    """Count the weights of one layer's attention; DeepSeek's is of low rank."""
    heads = number_in(text, "num_attention_heads", "n_head") or 1
    rank = number_in(text, "kv_lora_rank")
    if rank is None:
        size = number_in(text, "head_dim") or width / heads
        return width * size * 2 * (heads + (number_in(text, "num_key_value_heads") or heads))
    plain, rotary = number_in(text, "qk_nope_head_dim") or 128, number_in(text, "qk_rope_head_dim") or 64
    value, query_rank = number_in(text, "v_head_dim") or 128, number_in(text, "q_lora_rank")
    queries = heads * (plain + rotary)
    asked = width * queries if query_rank is None else query_rank * (width + queries)
    return asked + width * (rank + rotary) + rank * heads * (plain + value) + heads * value * width
