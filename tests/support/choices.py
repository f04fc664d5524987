"""Drawn catalogues, and a slow reference implementation of choosing: over views, one model at a time."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from model_registry.catalog.views import model_view
from model_registry.entities.change import Operation
from model_registry.entities.model import CAPABILITIES as WELL_KNOWN
from model_registry.entities.model import canonical
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue

View = dict[str, Any]

TAGS = ["small", "recommended", "Größe"]
CAPABILITIES = ["chat", "vision", "function_calling", "tool_use", "Streaming"]
PRICES = [0, 0.1, 0.15, 0.30000000000000004, 3, 1e-7, 2.5]
SCORES = [0, 0.25, 0.5, 1]


def _some(choices: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Up to three of these: with more, no model passes."""
    names = st.lists(st.sampled_from(sorted(choices)), max_size=3, unique=True)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: choices[name] for name in chosen}))


_subset = {
    "capabilities": st.lists(st.sampled_from(CAPABILITIES), max_size=3, unique=True),
    "tags": st.lists(st.sampled_from(TAGS), max_size=2, unique=True),
}
_CARD = {
    "display_name": st.sampled_from(["A Small One", "ÄÖ", "chat"]),
    "tags": _subset["tags"],
    "category": st.sampled_from(["text-llm", "embedding"]),
    "framework": st.sampled_from(["vllm", "transformers"]),
    "task_types": st.lists(st.sampled_from(["text-generation", "rerank"]), max_size=2),
    "cost_per_1m_input_tokens": st.sampled_from(PRICES),
    "cost_per_1m_output_tokens": st.sampled_from(PRICES),
    "cost_per_1m_cached_input_tokens": st.sampled_from(PRICES),
    "latency_p50_ms": st.sampled_from([1, 100, 200]),
    "latency_p99_ms": st.sampled_from([200, 300]),
    "quality_scores": st.fixed_dictionaries(
        {}, optional={score: st.sampled_from(SCORES) for score in ("reasoning", "coding", "creative", "summarization")}
    ),
    "benchmarks": st.fixed_dictionaries({}, optional={"mmlu": st.fixed_dictionaries({"score": st.integers(0, 3)})}),
    "requirements": st.fixed_dictionaries({}, optional={"min_vram_gb": st.sampled_from([1, 8])}),
    "parameters": st.sampled_from(["8B", "1.1B", "900M"]),
}
_COLUMNS = {
    "model_type": st.sampled_from(["chat", "vl", "embedding"]),
    "capabilities": _subset["capabilities"],
    "vram_mb": st.sampled_from([1000, 9000]),
    "context_length": st.sampled_from([0, 4096, 128_000]),
    "description": st.sampled_from(["All-rounder, small", "für Größe"]),
    "status": st.sampled_from(["active", "experimental", "deprecated", "disabled", "maintenance"]),
    "active": st.sampled_from([True, True, False]),
    "missing_since": st.just("2026-11-30T09:00:00+00:00"),
    "routing_priority": st.integers(0, 1),
}
_MODELS = st.lists(
    st.tuples(
        st.integers(0, 2), st.sampled_from(["a", "b", "c/d"]), st.fixed_dictionaries({}, optional=_COLUMNS | _CARD)
    ),
    max_size=6,
)


@st.composite
def operations(draw: st.DrawFn) -> list[Operation]:
    """A catalogue with three providers, one of them off, as the operations that make it: providers first."""
    catalogue = Catalogue()
    catalogue.category("text-llm")
    catalogue.category("empty")
    local = catalogue.provider("local", "ollama")
    cloud = catalogue.provider("cloud", "openai")
    off = catalogue.provider("openai", "custom", active=False)
    fixed = len(catalogue.operations)
    for provider, name, columns in draw(_MODELS):
        catalogue.model((local, cloud, off)[provider], name, **columns)
    models = [operation.id for operation in catalogue.operations[fixed:]]
    for model in draw(st.lists(st.sampled_from(models), max_size=2)) if models else ():
        catalogue.alias(model, draw(st.sampled_from(["usual", "Quick one"])))
    made: list[Operation] = catalogue.operations
    return made


def catalogue_of(made: list[Operation]) -> Snapshot:
    """The registry after these operations."""
    return Snapshot.empty().preview(made)


def views(snapshot: Snapshot) -> list[View]:
    """Every model as callers see it, in stable order."""
    return [model_view(snapshot, model) for model in snapshot.models]


_FILTERS: dict[str, st.SearchStrategy[Any]] = {
    "model_type": st.sampled_from(["chat", "VLM", "embedding", "tts"]),
    "provider": st.sampled_from(["local", "openai", "cloud", "groq"]),
    "capability": st.lists(st.sampled_from([*CAPABILITIES, "TOOLS", "none"]), max_size=2),
    "name": st.sampled_from(["a", "c/d", "nobody"]),
    "active": st.booleans(),
    "offered": st.booleans(),
    "missing": st.booleans(),
    "status": st.lists(st.sampled_from(["active", "deprecated", "disabled"]), max_size=2),
    "tag": st.lists(st.sampled_from([*TAGS, "none"]), max_size=2),
    "category": st.sampled_from(["text-llm", "empty"]),
    "framework": st.sampled_from(["vllm", "mlx"]),
    "task_type": st.sampled_from(["text-generation", "rerank"]),
    "min_context": st.sampled_from([0, 4096, 4097]),
    "max_cost_per_1m_input_tokens": st.sampled_from([0, 0.1, 0.3]),
    "max_cost_per_1m_output_tokens": st.sampled_from([0, 0.1, 0.3]),
    "q": st.sampled_from(["", "small", "GRÖSSE", "größe", "a-id", "quick usual", "one small", " All-ROUNDER "]),
}
FILTERS = _some(_FILTERS)


def mean_nothing(every: list[View], f: dict[str, Any]) -> bool:
    """Whether a filter has a value that no model has, and that is not well known either."""
    held = {canonical(tag) for view in every for tag in view["capabilities"]} | WELL_KNOWN
    tags = {tag for view in every for tag in view["tags"] or ()}
    task_types = {task for view in every for task in view["task_types"] or ()}
    return (
        any(canonical(tag) not in held for tag in f.get("capability", ()))
        or any(tag not in tags for tag in f.get("tag", ()))
        or ("name" in f and f["name"] not in {view["name"] for view in every})
        or ("framework" in f and f["framework"] not in {view["framework"] for view in every})
        or ("task_type" in f and f["task_type"] not in task_types)
    )


def passes(view: View, f: dict[str, Any]) -> bool:
    """Whether a model passes all filters."""
    types = {"VLM": "vl"}
    held = {canonical(tag) for tag in view["capabilities"]}
    words = (f.get("q") or "").casefold().split()
    texts = [view["name"], view["model_id"], view["display_name"], view["description"]]
    texts += [*(view["tags"] or ()), *(alias["alias"] for alias in view["aliases"])]
    rules: dict[str, Callable[[Any], bool]] = {
        "model_type": lambda v: view["model_type"] == types.get(v, v),
        "provider": lambda v: v in (view["provider_name"], view["provider_type"]),
        "capability": lambda v: all(canonical(tag) in held for tag in v),
        "name": lambda v: view["name"] == v,
        "active": lambda v: view["active"] == v,
        "offered": lambda v: view["offered"] == v,
        "missing": lambda v: (view["missing_since"] is not None) == v,
        "status": lambda v: not v or view["status"] in v,
        "tag": lambda v: set(v) <= set(view["tags"] or ()),
        "category": lambda v: view["category"] == v,
        "framework": lambda v: view["framework"] == v,
        "task_type": lambda v: v in (view["task_types"] or ()),
        "min_context": lambda v: view["context_window"] is not None and view["context_window"] >= v,
        "max_cost_per_1m_input_tokens": lambda v: within(view["cost_per_1m_input_tokens"], v),
        "max_cost_per_1m_output_tokens": lambda v: within(view["cost_per_1m_output_tokens"], v),
        "q": lambda _: all(any(word in text.casefold() for text in texts if text) for word in words),
    }
    return all(rules[name](value) for name, value in f.items())


def within(value: float | None, limit: float) -> bool:
    """Whether a number is known and not more than a limit."""
    return value is not None and value <= limit


def number(view: View, name: str) -> float | None:
    """A number of a view by its dotted name."""
    if name == "parameters":
        written = view["parameters"]
        return written and float(written[:-1]) * {"M": 1e6, "B": 1e9}[written[-1]]
    value: Any = view
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value.get("score") if isinstance(value, dict) else value


def cost(view: View, tokens: dict[str, int]) -> Fraction | None:
    """The cost of a request in dollars; None if a price is missing."""
    cached = tokens.get("cached_input_tokens", 0)
    price_of_input = view["cost_per_1m_input_tokens"]
    price_of_cached = view["cost_per_1m_cached_input_tokens"]
    parts = (
        (price_of_input, tokens.get("input_tokens", 1000) - cached),
        (price_of_input if price_of_cached is None else price_of_cached, cached),
        (view["cost_per_1m_output_tokens"], tokens.get("output_tokens", 1000)),
    )
    needed = [(price, count) for price, count in parts if count]
    if any(price is None for price, _ in needed):
        return None
    return sum((Fraction(repr(float(price))) * count for price, count in needed), Fraction()) / 1_000_000


_CONSTRAINTS: dict[str, st.SearchStrategy[Any]] = {
    "capabilities": st.lists(st.sampled_from([*CAPABILITIES, "tools"]), max_size=2),
    "model_types": st.lists(st.sampled_from(["llm", "vl"]), max_size=2),
    "categories": st.lists(st.sampled_from(["text-llm", "empty"]), max_size=2),
    "tags": st.lists(st.sampled_from(TAGS), max_size=1),
    "statuses": st.lists(st.sampled_from(["active", "deprecated"]), max_size=2),
    "providers": st.lists(st.sampled_from(["local", "openai"]), max_size=2),
    "exclude_providers": st.lists(st.sampled_from(["local", "ollama", "cloud"]), max_size=2),
    "min_context": st.sampled_from([0, 4097]),
    "max_cost": st.sampled_from(["0", "0.00025", "0.0003", "0.00030000000000000004"]),
    "max_latency_p50_ms": st.sampled_from([0, 100]),
    "max_latency_p99_ms": st.sampled_from([200, 1000]),
    "vram_gb": st.sampled_from([1, 8, 9.5]),
    "min_quality": st.fixed_dictionaries({}, optional={"coding": st.sampled_from([0, 0.5])}),
    "allow_unknown": st.booleans(),
}
CONSTRAINTS = _some(_CONSTRAINTS)
TOKENS = st.fixed_dictionaries(
    {"input_tokens": st.sampled_from([0, 1000, 1001])},
    optional={"output_tokens": st.sampled_from([0, 7])},
) | st.just({"input_tokens": 1000, "cached_input_tokens": 300, "output_tokens": 10})


def keeps(view: View, wanted: dict[str, Any], tokens: dict[str, int]) -> bool:
    """Whether a model breaks no constraint."""
    unknown_is_fine = wanted.get("allow_unknown", False)

    def limited(value: float | Fraction | None, fits: Any) -> bool:
        return unknown_is_fine if value is None else bool(fits(value))

    held = {canonical(tag) for tag in view["capabilities"]}
    at = {view["provider_name"], view["provider_type"]}
    memory = [n for n in (number(view, "requirements.min_vram_gb"), _gb(view["vram_mb"])) if n is not None]
    types = {"llm": "chat"}
    rules: dict[str, Callable[[Any], bool]] = {
        "capabilities": lambda v: all(canonical(tag) in held for tag in v),
        "model_types": lambda v: not v or view["model_type"] in [types.get(t, t) for t in v],
        "categories": lambda v: not v or view["category"] in v,
        "tags": lambda v: set(v) <= set(view["tags"] or ()),
        "providers": lambda v: bool(at & set(v)),
        "exclude_providers": lambda v: not at & set(v),
        "min_context": lambda v: limited(view["context_window"], lambda n: n >= v),
        "max_cost": lambda v: limited(cost(view, tokens), lambda n: n <= Fraction(v)),
        "max_latency_p50_ms": lambda v: limited(view["latency_p50_ms"], lambda n: n <= v),
        "max_latency_p99_ms": lambda v: limited(view["latency_p99_ms"], lambda n: n <= v),
        "vram_gb": lambda v: limited(max(memory, default=None), lambda n: n <= v),
        "min_quality": lambda v: all(
            limited(number(view, f"quality_scores.{score}"), lambda n, least=least: n >= least)
            for score, least in v.items()
        ),
    }
    statuses = wanted.get("statuses", ["active", "experimental"])
    usable = view["active"] and view["provider_name"] != "openai" and view["status"] in statuses
    return usable and all(rules[name](value) for name, value in wanted.items() if name in rules)


def _gb(mebibytes: int | None) -> float | None:
    return None if mebibytes is None else mebibytes * 2**20 / 1e9
