"""Documents of the catalogue: one that represents those of real programs, and generated ones of every form."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from model_registry.garden.document import plan_document, read_document
from model_registry.imports.plan import ImportPlan
from model_registry.snapshot.snapshot import Snapshot

FILE = Path(__file__).parents[1] / "fixtures" / "models_registry.json"

Json = dict[str, Any]


def garden() -> Json:
    """A document in Model Garden's form."""
    document: Json = json.loads(FILE.read_text("utf-8"))
    return document


def plan(document: Json, snapshot: Snapshot) -> ImportPlan:
    """The operations of an import."""
    numbers = itertools.count(1)
    return plan_document(read_document(json.dumps(document)), snapshot, lambda: f"new-{next(numbers):05}")


def imported(document: Json, snapshot: Snapshot | None = None) -> Snapshot:
    """The registry after an import."""
    before = snapshot or Snapshot.empty()
    return before.preview(plan(document, before).operations)


_WORDS = st.text('abcXYZ09é漢🎨 .:/-_"\\', min_size=1, max_size=8)
_TEXT = st.text('abc é漢🎨"\\\n\t', max_size=12)
_COUNTS = st.integers(1, 2**31 - 1)
_PRICES = st.floats(0, 1e6)
_SHARES = st.floats(0, 1)
_DATES = st.dates().map(str)
_ATOMS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e300, 1e300) | _TEXT
_VALUES = _ATOMS | st.lists(_ATOMS, max_size=2) | st.dictionaries(_TEXT, _ATOMS, max_size=2)
_OBJECTS = st.dictionaries(_WORDS, _VALUES, max_size=3)
_FLAGS = ("training", "inference", "vision", "structured_outputs", "streaming", "function_calling")


def _nullable(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """All of these keys, each perhaps null."""
    return st.fixed_dictionaries({key: st.none() | value for key, value in fields.items()})


def _requirements(drawn: tuple[list[float], Json, Json]) -> Json:
    memory, always, sometimes = drawn
    return {"min_vram_gb": min(memory), "recommended_vram_gb": max(memory)} | always | sometimes


_REQUIREMENTS = st.tuples(
    st.lists(st.floats(0, 1e5), min_size=2, max_size=2),
    _nullable(min_ram_gb=_SHARES),
    st.fixed_dictionaries(
        {}, optional={"cuda_compute_capability": st.sampled_from(["7.0", "10.0"]), "min_gpus": _COUNTS}
    ),
).map(_requirements)
_TRAINING = st.fixed_dictionaries(
    {"hyperparameters": _OBJECTS, "lora_config": _OBJECTS},
    optional={"selective_loss": st.just({"supported": True, "default_level": "moderate"})},
)
_INFERENCE = _nullable(
    max_model_len=_COUNTS,
    dtype=st.sampled_from(["auto", "bfloat16"]),
    gpu_memory_utilization=_SHARES,
    quantization=_WORDS,
    tensor_parallel_size=_COUNTS,
)


def _aliases(names: set[str]) -> list[Json]:
    return [{"alias": name} for name in sorted(names)]


_BENCHMARK = st.fixed_dictionaries({"score": _PRICES}, optional={"source": _TEXT, "measured_on": _DATES})
_MODEL = st.fixed_dictionaries(
    {
        "name": _WORDS,
        "category": st.sampled_from([None, "text-llm", "vision-vlm", "embedding"]),
        "provider": st.sampled_from(["lab", "unsloth", "openai"]),
        "base_architecture": st.none() | _WORDS,
        "parameters": st.sampled_from([None, "7B", "1.1B"]),
        "description": st.none() | _TEXT,
        "tags": st.lists(_WORDS, max_size=3),
        "status": st.sampled_from(["stable", "experimental", "deprecated", "disabled", "maintenance"]),
        "quantization": _nullable(method=st.sampled_from(["4bit", "awq"]), type=_WORDS),
        "requirements": _REQUIREMENTS,
        "capabilities": st.fixed_dictionaries(dict.fromkeys(_FLAGS, st.booleans())),
        "training_defaults": _TRAINING,
        "inference_defaults": _INFERENCE,
        "urls": st.dictionaries(_WORDS, st.sampled_from([None, "https://example.org/a"]), max_size=2),
    },
    optional={
        "max_output_tokens": _COUNTS,
        "cost_per_1m_input_tokens": _PRICES,
        "quality_scores": st.fixed_dictionaries({"reasoning": _SHARES}, optional={"coding": _SHARES}),
        "benchmarks": st.dictionaries(_WORDS, _BENCHMARK, min_size=1, max_size=2),
        "task_types": st.lists(_WORDS, min_size=1, max_size=2),
        "released_on": _DATES,
        "context_window": _COUNTS,
        "vram_mb": _COUNTS,
        "routing_priority": st.integers(1, 9),
        "active": st.just(False),  # noqa: FBT003 (what stands in the document)
        "aliases": st.sets(st.uuids().map(str), min_size=1, max_size=2).map(_aliases),
        "metadata": _OBJECTS.filter(bool),
        "field_sources": st.dictionaries(_WORDS, _WORDS, min_size=1, max_size=2),
        "x_unknown": _OBJECTS.filter(bool),
    },
)
_OPENAI = st.fixed_dictionaries({"type": st.just("openai")}, optional={"metadata": st.just({"a": 1.5})})


def _document(drawn: tuple[dict[str, Json], str, Json]) -> Json:
    models, text, openai = drawn
    categories = {key: {"name": key, "description": text} for key in ("text-llm", "vision-vlm", "embedding")}
    used = any(model["provider"] == "openai" for model in models.values())
    return {
        "version": "1.0.0",
        "last_updated": "2026-01-01T00:00:00Z",
        "categories": categories,
        **({"providers": {"openai": openai}} if used else {}),
        "models": {key: {"id": key, **model} for key, model in models.items()},
    }


# No slashes in ids: one that could be a provider with a name would not be the one that an export chooses.
DOCUMENTS = st.tuples(st.dictionaries(st.uuids().map(str), _MODEL, max_size=3), _TEXT, _OPENAI).map(_document)
"""Documents as an export writes them: with all the keys that their readers expect."""
