"""Finds the number of a repository's parameters and the size of its weights, from all that is known of them.

The Hub's counts of numbers are of two kinds. Older ones count the numbers in the files, of which each may hold several
weights; newer ones count weights. Which kind it is shows against the files' sizes, the architecture, the Hub's total
and the name. Where these do not decide, nothing is stated, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from model_registry.entities.weight_bits import gguf_bits
from model_registry.imports.sources.model_config import (
    Document,
    Shape,
    number_in,
    object_in,
    shape_of,
    text_config,
    text_in,
)
from model_registry.imports.sources.model_size import parameters_in, parameters_text
from model_registry.imports.sources.quantization import Quantization, quantization_of
from model_registry.imports.sources.repository_files import (
    GgufFile,
    gguf_files,
    is_gguf,
    safetensors_bytes,
    wanted_type,
)
from model_registry.imports.sources.stored_numbers import SAME, Reading, agree, all_agree, ratio, readings

_DTYPE_BITS = {"float32": 32, "float16": 16, "bfloat16": 16, "float8_e4m3fn": 8}

_NEAR = 1.35
"""Largest ratio of two counts that mean the same model. Wrong kinds of counts differ by two to eight."""
_OTHER = 2.0
"""Smallest ratio of two counts that cannot mean the same model."""
_FILES = 1.15
"""Largest ratio of the files' size and that of the weights in them."""
_WIDEST = 4.2
"""Most bytes that a weight can take."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What is known of a model's weights."""

    parameters: float | None = None
    bytes: float | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    """Why there is no number: `parameters`, `requirements`."""


@dataclass(frozen=True, slots=True)
class _Repository:
    """What a repository states, read once."""

    model_id: str
    config: Document
    info: Document
    quantization: Quantization | None
    counts: dict[str, float]
    total: float | None
    shape: Shape | None
    named: float | None

    @property
    def references(self) -> list[float]:
        """Numbers of parameters from elsewhere, the surest first."""
        # A total that differs says which kind the counts are, where they are of packed weights.
        packed = self.quantization is not None and self.quantization.layout is not None
        other_total = (
            self.total if packed and self.total and not agree(self.total, sum(self.counts.values()), SAME) else None
        )
        by_shape = self.shape.total if self.shape else None
        return [number for number in (by_shape, other_total, self.named) if number]


def weights_of(model_id: str, config: Document, info: Document) -> Weights:
    """Find the parameters and the size of the weights."""
    text = text_config({**object_in(info, "config"), **config})
    stored = object_in(info, "safetensors")
    counts = {k: n for k, n in object_in(stored, "parameters").items() if number_in({k: n}, k)}
    repository = _Repository(
        model_id,
        text,
        info,
        quantization_of(model_id, config, info),
        counts,
        number_in(stored, "total"),
        shape_of(text),
        parameters_in(model_id) or _named_by_base(info),
    )
    if text_in(info, "library_name") == "peft":
        reason = "it is an adapter: the size is that of its base model"
        return Weights(reasons={"parameters": reason, "requirements": reason})
    if is_gguf(info, model_id):
        return _of_gguf(repository)
    weights = _of_counts(repository) if counts else _of_nothing_counted(repository)
    if text_in(info, "library_name") == "diffusers":
        reason = "the Hub counts one part of a pipeline that has several"
        return replace(weights, bytes=None, reasons=weights.reasons | {"requirements": reason})
    return weights


def _of_counts(repository: _Repository) -> Weights:
    size = safetensors_bytes(repository.info)
    read = list(readings(repository.counts, repository.total, repository.quantization))
    if size is not None:
        return _decided(repository, [r for r in read if r.bytes and agree(r.bytes, size, _FILES)], size)
    if (len(read) > 1 and not all_agree(read)) or _denied(repository, read[0].parameters):
        read = _nearest(repository, read)
    if not read:
        reason = _contradiction(repository)
        return Weights(reasons={"parameters": reason, "requirements": reason})
    return _decided(repository, read, read[0].bytes)


def _denied(repository: _Repository, parameters: float | None) -> bool:
    """Whether the dimensions and the name agree on another number."""
    shape, named = repository.shape, repository.named
    if parameters is None or shape is None or named is None or not agree(shape.total, named, _NEAR):
        return False
    return not agree(parameters, shape.total, _OTHER)


def _decided(repository: _Repository, readings: list[Reading], size: float | None) -> Weights:
    """State the numbers of what was decided for; parameters that no reading has come from elsewhere."""
    parameters = readings[0].parameters if readings else None
    layout = repository.quantization.layout if repository.quantization else None
    named = repository.named
    if parameters and layout and not layout.is_given and named and agree(named, parameters, _NEAR):
        parameters = named
    parameters = parameters or _elsewhere(repository)
    reasons = {}
    if parameters is None:
        reasons["parameters"] = "the Hub's counts do not fit the size of the files, or are of packed weights"
    if size is None:
        reasons["requirements"] = f"the Hub counts numbers of an unknown type: {', '.join(repository.counts)}"
    elif parameters and size > _WIDEST * parameters:
        size, reasons["requirements"] = None, _contradiction(repository)
    return Weights(parameters, size, reasons)


def _nearest(repository: _Repository, readings: list[Reading]) -> list[Reading]:
    """Return the reading that other numbers confirm; none if they confirm none."""
    for reference in repository.references:
        near = [r for r in readings if r.parameters and agree(r.parameters, reference, _NEAR)]
        if near:
            return [min(near, key=lambda r: ratio(r.parameters or reference, reference))]
    used = number_in(repository.info, "usedStorage")
    if used is not None:
        # The storage is the files' size, unless there are older versions of them.
        possible = [r for r in readings if r.bytes and agree(r.bytes, used, SAME)]
        possible = possible or [r for r in readings if r.bytes and r.bytes <= used]
        if possible and all_agree(possible):
            return possible
    return []


def _contradiction(repository: _Repository) -> str:
    counted = ", ".join(f"{dtype} {n:.0f}" for dtype, n in repository.counts.items())
    total = f", in total {repository.total:.0f}" if repository.total else ""
    return f"the Hub's counts can mean different sizes ({counted}{total}), and nothing else tells which"


def _of_nothing_counted(repository: _Repository) -> Weights:
    """Estimate from the architecture and the name, and from the bits of a weight."""
    quantization, total = repository.quantization, repository.total
    if quantization is not None and (quantization.layout or quantization.bits is None):
        total = None
    parameters = _elsewhere(repository) if total is None or _denied(repository, total) else total
    if parameters is None:
        if not repository.info:
            return Weights()
        reason = "the repository does not state how many parameters it has"
        if repository.shape and repository.named:
            reason = (
                f"the name says {parameters_text(repository.named)} parameters, and the dimensions "
                f"{parameters_text(repository.shape.total)}"
            )
        return Weights(reasons={"parameters": reason, "requirements": reason})
    size = safetensors_bytes(repository.info) or _estimated_bytes(repository, parameters)
    if size is None:
        return Weights(parameters, None, {"requirements": "the bits of a quantized weight are not stated"})
    return Weights(parameters, size)


def _elsewhere(repository: _Repository) -> float | None:
    """Return the parameters by architecture or name. The names of mixtures of experts are of parts of them."""
    shape, named = repository.shape, repository.named
    if shape is None or named is None:
        return shape.total if shape else named
    if agree(shape.total, named, _NEAR):
        return named
    return shape.total if shape.experts else None


def _estimated_bytes(repository: _Repository, parameters: float) -> float | None:
    quantization, shape = repository.quantization, repository.shape
    plain = _DTYPE_BITS.get(dtype_of(repository.config) or "", 16) / 8
    if quantization is None:
        return parameters * plain
    if quantization.bits is None:
        return None
    one = (quantization.bits + quantization.overhead) / 8
    if shape is None:
        return parameters * one
    share = shape.experts if quantization.only_experts and shape.experts else shape.total - shape.embeddings
    if quantization.kind == "mlx":
        share = shape.total
    share *= parameters / shape.total
    return share * one + (parameters - share) * plain


def _of_gguf(repository: _Repository) -> Weights:
    """Read a repository of GGUF files: one model in several types, each in one file or in shards."""
    files = gguf_files(repository.info, repository.model_id)
    about = object_in(repository.info, "gguf")
    counted, reference = number_in(about, "total"), _elsewhere(repository)
    if any(f.shards > 1 for f in files) and not (counted and reference and agree(counted, reference, _NEAR)):
        # The Hub reads the first shard only.
        counted = None
    parameters = counted or reference
    reasons = {} if parameters else {"parameters": "the Hub counts the first shard only, and the name states no size"}
    if len(files) > 1:
        reasons["requirements"] = _choice(repository.model_id, files)
    elif not files and (kind := wanted_type(repository.model_id)):
        reasons["requirements"] = f"the repository lists no file of the type {kind}"
    if len(files) != 1:
        return Weights(parameters, None, reasons)
    (file,) = files
    size = file.bytes or (number_in(about, "totalFileSize") if file.shards == 1 else None)
    bits = gguf_bits(file.kind or "")
    if size is None and bits and parameters:
        size = parameters * bits / 8
    if size is None:
        reasons["requirements"] = f"the size of {file.name} is not stated, or not of all its shards"
    return Weights(parameters, size, reasons)


def _choice(model_id: str, files: Sequence[GgufFile]) -> str:
    kinds = sorted({file.kind for file in files if file.kind})
    if not kinds:
        return f"there are {len(files)} files, and their names do not state their types"
    return f"there are files of several types: import {model_id}:{kinds[0]}, or one of {', '.join(kinds[:20])}"


def _named_by_base(info: Document) -> float | None:
    """Read the parameters from the names of the models that this one was made of."""
    bases = object_in(info, "cardData").get("base_model")
    names = bases if isinstance(bases, list) else [bases]
    return next((n for name in names[:5] if isinstance(name, str) and (n := parameters_in(name))), None)


def dtype_of(config: Document) -> str | None:
    """Return the type of the numbers in which the model computes."""
    return text_in(config, "dtype") or text_in(config, "torch_dtype")
