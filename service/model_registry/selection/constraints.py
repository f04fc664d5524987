"""The hard constraints of a selection: which models pass each, and why another does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from model_registry.entities.capability import canonical
from model_registry.entities.model import Model
from model_registry.selection.costs import Costs, amount, missing_prices
from model_registry.selection.model_filter import category, model_type, provider_ids
from model_registry.selection.model_index import Mask, ModelIndex, has
from model_registry.selection.model_numbers import NUMBERS
from model_registry.selection.request import Constraints, SelectionRequest
from model_registry.snapshot.live_deployments import live_deployments
from model_registry.snapshot.snapshot import Snapshot

_MIB_PER_GB = 1e9 / 2**20


@dataclass(frozen=True, slots=True)
class Check:
    """One constraint as these models keep it."""

    name: str
    """As the request has it, dotted."""
    passing: Mask
    why: Callable[[int], str]
    """What to say of the model at a place that does not pass."""


def checks(snapshot: Snapshot, index: ModelIndex, asked: SelectionRequest, costs: Costs) -> Iterator[Check]:
    """Every constraint that is given. Errors: Invalid, for a provider, a type or a category that there is not."""
    wanted = asked.constraints
    yield Check("active", index.enabled(), lambda place: _switched_off(index.rows[place]))
    yield _one_of(index, "statuses", "status", wanted.statuses, lambda m: m.status)
    yield from _all_of(index, "capabilities", "capability", [canonical(tag) for tag in wanted.capabilities])
    yield from _all_of(index, "tags", "tag", wanted.tags)
    if wanted.model_types:
        types = [model_type(value, "constraints.model_types") for value in wanted.model_types]
        yield _one_of(index, "model_types", "model_type", types, lambda m: m.model_type)
    if wanted.categories:
        keys = [category(snapshot, index, value, "constraints.categories") for value in wanted.categories]
        yield _one_of(index, "categories", "category", keys, lambda m: m.card.get("category"))
    yield from _providers(snapshot, index, wanted)
    yield from _limits(index, wanted)
    if wanted.max_cost is not None:
        yield _cost(index, asked, costs)
    if wanted.deployed is not None:
        yield _deployed(snapshot, index, wanted=wanted.deployed)


def _switched_off(model: Model) -> str:
    return "its provider is not active" if model.active else "it is not active"


def _one_of(
    index: ModelIndex, name: str, field: str, allowed: Iterable[str], read: Callable[[Model], str | None]
) -> Check:
    keys = list(dict.fromkeys(allowed))
    said = ", ".join(keys)
    return Check(
        name,
        index.where(field, *keys),
        lambda place: f"its {field} is {read(index.rows[place]) or 'not known'}, not one of: {said}",
    )


def _all_of(index: ModelIndex, name: str, field: str, wanted: Iterable[str]) -> Iterator[Check]:
    masks = {key: index.where(field, key) for key in wanted}
    passing = index.everything
    for mask in masks.values():
        passing &= mask
    if masks:
        yield Check(name, passing, lambda place: f"lacks {', '.join(k for k, m in masks.items() if not has(m, place))}")


def _providers(snapshot: Snapshot, index: ModelIndex, wanted: Constraints) -> Iterator[Check]:
    if wanted.providers is not None:
        allowed = _meant(snapshot, wanted.providers, "constraints.providers")
        yield Check("providers", index.where("provider", *allowed), lambda _: "its provider is not among those allowed")
    if wanted.exclude_providers:
        denied = _meant(snapshot, wanted.exclude_providers, "constraints.exclude_providers")
        passing = index.everything ^ index.where("provider", *denied)
        yield Check("exclude_providers", passing, lambda _: "its provider is among those excluded")


def _meant(snapshot: Snapshot, values: Iterable[str], parameter: str) -> set[str]:
    return {row_id for value in values for row_id in provider_ids(snapshot, value, parameter)}


def _limits(index: ModelIndex, wanted: Constraints) -> Iterator[Check]:
    """Limits of single numbers. What is not known passes only where the caller says so."""
    most = {
        "max_latency_p50_ms": ("latency_p50_ms", wanted.max_latency_p50_ms),
        "max_latency_p99_ms": ("latency_p99_ms", wanted.max_latency_p99_ms),
    }
    least = {"min_context": ("context_window", wanted.min_context)} | {
        f"min_quality.{score}": (f"quality_scores.{score}", minimum) for score, minimum in wanted.min_quality
    }
    for name, (number, limit) in most.items():
        if limit is not None:
            passing = index.at_most(number, limit) | _excused(index, number, wanted)
            yield Check(name, passing, _outside(index, number, "more", limit))
    for name, (number, limit) in least.items():
        if limit is not None:
            passing = index.at_least(number, limit) | _excused(index, number, wanted)
            yield Check(name, passing, _outside(index, number, "less", limit))
    if wanted.vram_gb is not None:
        yield _memory(index, wanted, wanted.vram_gb)


def _excused(index: ModelIndex, number: str, wanted: Constraints) -> Mask:
    return index.everything ^ index.known(number) if wanted.allow_unknown else 0


def _outside(index: ModelIndex, number: str, than: str, limit: float) -> Callable[[int], str]:
    def why(place: int) -> str:
        value = index.numbers(number)[place]
        if value != value:  # noqa: PLR0124 (unknown is not equal to itself)
            return f"its {number} is not known"
        return f"its {number} is {value:g} {NUMBERS[number].unit}, {than} than {limit:g}"

    return why


def _memory(index: ModelIndex, wanted: Constraints, there: float) -> Check:
    """Both numbers that say what memory a model takes must be within what is there."""
    said, seen = "requirements.min_vram_gb", "vram_mb"
    within = index.at_most(said, there) | (index.everything ^ index.known(said))
    within &= index.at_most(seen, there * _MIB_PER_GB) | (index.everything ^ index.known(seen))
    known = index.known(said) | index.known(seen)

    def why(place: int) -> str:
        needs = [n for n in (index.numbers(said)[place], index.numbers(seen)[place] / _MIB_PER_GB) if n == n]  # noqa: PLR0124
        return (
            f"it needs {max(needs):.3g} GB of GPU memory, more than {there:g}" if needs else "its memory is not known"
        )

    return Check("vram_gb", within if wanted.allow_unknown else within & known, why)


def _cost(index: ModelIndex, asked: SelectionRequest, costs: Costs) -> Check:
    limit = asked.constraints.max_cost or Decimal(0)
    passing = costs.at_most(index, limit)
    if asked.constraints.allow_unknown:
        passing |= index.everything ^ costs.known

    def why(place: int) -> str:
        cost = costs.dollars(place)
        if cost is None:
            return f"not known: {', '.join(missing_prices(index, place, asked.tokens))}"
        return f"the request costs {amount(cost)['exact']} US dollars, more than {amount(limit)['exact']}"

    return Check("max_cost", passing, why)


def _deployed(snapshot: Snapshot, index: ModelIndex, *, wanted: bool) -> Check:
    ids = (str(key) for key in snapshot.deployments.keys("model"))
    there = index.mask_of(p for i in ids if (p := index.position(i)) is not None and live_deployments(snapshot, i))
    passing = there if wanted else index.everything ^ there
    return Check(
        "deployed", passing, lambda _: "no node that takes work has it loaded" if wanted else "it is loaded on a node"
    )
