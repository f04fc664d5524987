"""The hard constraints of a selection: which models pass each, and why others fail. Scoring is in `scoring.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from model_registry.entities.fitness import Hardware, shortages
from model_registry.entities.model import Model
from model_registry.selection.costs import Costs, amount, missing_prices
from model_registry.selection.filter_values import capability, category, known, model_type, provider_ids
from model_registry.selection.model_index import Mask, ModelIndex, has
from model_registry.selection.model_numbers import NEEDED_VRAM, NUMBERS
from model_registry.selection.request import Constraints, SelectionRequest
from model_registry.snapshot.live_deployments import live_deployments
from model_registry.snapshot.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Check:
    """One constraint, evaluated for all models."""

    name: str
    """Its dotted name in the request."""
    passing: Mask
    why: Callable[[int], str]
    """Explains why the model at a position fails."""


def checks(snapshot: Snapshot, index: ModelIndex, request: SelectionRequest, costs: Costs) -> Iterator[Check]:
    """Yield a check per given constraint. Errors: Invalid, for an unknown provider, type or category."""
    constraints = request.constraints
    yield Check("active", index.enabled(), lambda position: _switched_off(index.rows[position]))
    yield _one_of(index, "statuses", "status", constraints.statuses, lambda m: m.status)
    capabilities = [capability(index, tag, "constraints.capabilities") for tag in constraints.capabilities]
    yield from _all_of(index, "capabilities", "capability", capabilities)
    tags = [known("constraints.tags", tag, index.keys("tag")) for tag in constraints.tags]
    yield from _all_of(index, "tags", "tag", tags)
    if constraints.model_types:
        types = [model_type(value, "constraints.model_types") for value in constraints.model_types]
        yield _one_of(index, "model_types", "model_type", types, lambda m: m.model_type)
    if constraints.categories:
        keys = [category(snapshot, index, value, "constraints.categories") for value in constraints.categories]
        yield _one_of(index, "categories", "category", keys, lambda m: m.card.get("category"))
    yield from _providers(snapshot, index, constraints)
    yield from _limits(index, constraints)
    if constraints.max_cost is not None:
        yield _cost(index, request, costs)
    if constraints.deployed is not None:
        yield _deployed(snapshot, index, deployed=constraints.deployed)


def _switched_off(model: Model) -> str:
    return "its provider is not active" if model.active else "it is not active"


def _one_of(
    index: ModelIndex, name: str, field: str, allowed: Iterable[str], read: Callable[[Model], str | None]
) -> Check:
    keys = list(dict.fromkeys(allowed))
    choices = ", ".join(keys)
    return Check(
        name,
        index.where(field, *keys),
        lambda position: f"its {field} is {read(index.rows[position]) or 'not known'}, not one of: {choices}",
    )


def _all_of(index: ModelIndex, name: str, field: str, keys: Iterable[str]) -> Iterator[Check]:
    masks = {key: index.where(field, key) for key in keys}
    passing = index.everything
    for mask in masks.values():
        passing &= mask
    if masks:
        yield Check(name, passing, lambda at: f"lacks {', '.join(k for k, m in masks.items() if not has(m, at))}")


def _providers(snapshot: Snapshot, index: ModelIndex, constraints: Constraints) -> Iterator[Check]:
    if constraints.providers is not None:
        allowed = _meant(snapshot, constraints.providers, "constraints.providers")
        yield Check("providers", index.where("provider", *allowed), lambda _: "its provider is not among those allowed")
    if constraints.exclude_providers:
        denied = _meant(snapshot, constraints.exclude_providers, "constraints.exclude_providers")
        passing = index.everything ^ index.where("provider", *denied)
        yield Check("exclude_providers", passing, lambda _: "its provider is among those excluded")


def _meant(snapshot: Snapshot, values: Iterable[str], parameter: str) -> set[str]:
    return {row_id for value in values for row_id in provider_ids(snapshot, value, parameter)}


def _limits(index: ModelIndex, constraints: Constraints) -> Iterator[Check]:
    """Check limits of single numbers. Unknown numbers pass only if the request allows them."""
    least, most = (index.at_least, "less"), (index.at_most, "more")
    for name, number, limit, (within, than) in (
        *(
            (f"max_{price}", price, getattr(constraints, f"max_{price}"), most)
            for price in ("cost_per_1m_input_tokens", "cost_per_1m_output_tokens")
        ),
        ("max_latency_p50_ms", "latency_p50_ms", constraints.max_latency_p50_ms, most),
        ("max_latency_p99_ms", "latency_p99_ms", constraints.max_latency_p99_ms, most),
        ("min_context", "context_window", constraints.min_context, least),
        *((f"min_quality.{score}", f"quality_scores.{score}", low, least) for score, low in constraints.min_quality),
    ):
        if limit is not None:
            excused = index.everything ^ index.known(number) if constraints.allow_unknown else 0
            yield Check(name, within(number, limit) | excused, _outside(index, number, than, limit))
    if (memory := constraints.memory_gb) is not None:
        yield _memory(index, constraints, memory)
    if constraints.gpu is not None:
        yield _gpus(index, Hardware(gpu=constraints.gpu, gpus=constraints.gpus))


def _outside(index: ModelIndex, number: str, than: str, limit: float) -> Callable[[int], str]:
    def why(position: int) -> str:
        value = index.numbers(number)[position]
        if value != value:  # noqa: PLR0124 (NaN: unknown)
            return f"its {number} is not known"
        return f"its {number} is {value:g} {NUMBERS[number].unit}, {than} than {limit:g}"

    return why


def _memory(index: ModelIndex, constraints: Constraints, there: float) -> Check:
    """Check that the memory a model needs, by the rule of `entities/gpu_memory.py`, is available."""
    excused = index.everything ^ index.known(NEEDED_VRAM) if constraints.allow_unknown else 0

    def why(position: int) -> str:
        needed = index.numbers(NEEDED_VRAM)[position]
        if needed != needed:  # noqa: PLR0124 (NaN: unknown)
            return "its memory is not known"
        return f"it needs {needed:.3g} GB of GPU memory, more than {there:g}"

    return Check("vram_gb", index.at_most(NEEDED_VRAM, there) | excused, why)


def _gpus(index: ModelIndex, hardware: Hardware) -> Check:
    """Check what a model requires of GPUs beside memory, by the rule of `entities/fitness.py`."""
    needs = index.columns.column("requirements", lambda model: model.card.get("requirements"))

    def why(position: int) -> str:
        short = (problem.removeprefix("It ") for problem in shortages(needs[position], hardware))
        return "; ".join(f"it {problem}" for problem in short)

    short = index.mask_of(at for at, need in enumerate(needs) if need and any(shortages(need, hardware)))
    return Check("gpu", index.everything ^ short, why)


def _cost(index: ModelIndex, request: SelectionRequest, costs: Costs) -> Check:
    limit = request.constraints.max_cost or Decimal(0)
    passing = costs.at_most(index, limit)
    if request.constraints.allow_unknown:
        passing |= index.everything ^ costs.known

    def why(position: int) -> str:
        cost = costs.dollars(position)
        if cost is None:
            return f"not known: {', '.join(missing_prices(index, position, request.tokens))}"
        return f"the request costs {amount(cost)['exact']} US dollars, more than {amount(limit)['exact']}"

    return Check("max_cost", passing, why)


def _deployed(snapshot: Snapshot, index: ModelIndex, *, deployed: bool) -> Check:
    ids = (str(key) for key in snapshot.deployments.keys("model"))
    there = index.mask_of(p for i in ids if (p := index.position(i)) is not None and live_deployments(snapshot, i))
    passing = there if deployed else index.everything ^ there
    return Check(
        "deployed", passing, lambda _: "no node that takes work has it loaded" if deployed else "it is loaded on a node"
    )
