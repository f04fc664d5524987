"""What the `model` of a request means: rows of the catalogue, and in which order and shares they are asked. Pure.

In this order it is a model's name, an alias that holds everywhere, `provider/name`, a provider's name of a model,
`service/function`, or a service. The addresses of the rows are found in `language_routes.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from model_registry.catalog.views import is_offered
from model_registry.entities.function import Mapping
from model_registry.entities.model import GATEWAY_CONTEXTS, Model
from model_registry.entities.spelling import question
from model_registry.errors import ModelNotFound, NotFound, Reason
from model_registry.snapshot.lookup import find_service, named, splits
from model_registry.snapshot.snapshot import Snapshot

_MOST_REASONS = 20


@dataclass(frozen=True, slots=True)
class Share:
    """A model that is asked for a share of the requests."""

    rows: tuple[Model, ...]
    """Its rows, one a provider, in the order in which they are asked; at least one."""
    rank: int = 0
    """Lower first; the next rank is asked when nothing of those before can be."""
    weight: float = 1.0
    """Its share among those of its rank; above 0."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name means."""

    shares: tuple[Share, ...]
    """By rank; at least one."""
    names: tuple[str, ...]
    """A key that is limited to services may ask when it is limited to one of these."""


def meaning_of(snapshot: Snapshot, asked: str, model_types: frozenset[str]) -> Meaning:
    """Find what is offered under a name. Errors: ModelNotFound, for what is unknown or not offered, with the reason.

    Args:
        snapshot: the registry.
        asked: the `model` of a request.
        model_types: the types of models that answer such requests. Where the name means others too, those are left
            out; where it means others alone, they are asked: imported models are of a type that was guessed.
    """
    switched_off: list[Reason] = []
    for read in _READINGS:
        found = read(snapshot, asked)
        if found is None:
            continue
        offered = _only(found.shares, lambda row: is_offered(snapshot, row))
        if offered:
            fitting = _only(offered, lambda row: row.model_type in model_types)
            return replace(found, shares=fitting or offered)
        rows = {row.id: row for share in found.shares for row in share.rows}
        switched_off += [Reason(row.name, _why_not_offered(snapshot, row)) for row in rows.values()]
    if switched_off:
        reasons = switched_off[:_MOST_REASONS]
        raise ModelNotFound(f"The model {asked!r} is not offered: {reasons[0].message}.", reasons=reasons)
    message = f"There is no model {asked!r}.{question(asked, _all_names(snapshot))}"
    raise ModelNotFound(f"{message} All models: GET /v1/models.")


def _by_name(snapshot: Snapshot, asked: str) -> Meaning | None:
    return _one_model(snapshot, snapshot.models.where("name", asked), asked)


def _by_alias(snapshot: Snapshot, asked: str) -> Meaning | None:
    rows = (snapshot.models.get(a.model_id) for a in snapshot.aliases.where("alias", asked) if _holds(a.context))
    found = list({row.id: row for row in rows if row is not None}.values())
    if not found:
        return None
    shares = [Share(_with_others(snapshot, row), rank) for rank, row in enumerate(found)]
    return Meaning(tuple(shares), _names(asked, found))


def _by_providers_name(snapshot: Snapshot, asked: str) -> Meaning | None:
    """`provider/name`, which is this provider's row alone; else a provider's own name of a model."""
    return _one_model(snapshot, named(snapshot, asked), asked)


def _one_model(snapshot: Snapshot, rows: Sequence[Model], asked: str) -> Meaning | None:
    return Meaning((Share(_in_order(snapshot, rows)),), _names(asked, rows)) if rows else None


def _by_function(snapshot: Snapshot, asked: str) -> Meaning | None:
    for service, function in splits(asked):
        found = _service(snapshot, service)
        if found and (mappings := snapshot.mappings.where("function", (found, function))):
            return _mapped(snapshot, mappings, (f"{found}/{function}", found))
    return None


def _by_service(snapshot: Snapshot, asked: str) -> Meaning | None:
    found = _service(snapshot, asked)
    return _mapped(snapshot, snapshot.mappings.where("service", found), (found,)) if found else None


_READINGS: tuple[Callable[[Snapshot, str], Meaning | None], ...] = (
    _by_name,
    _by_alias,
    _by_providers_name,
    _by_function,
    _by_service,
)


def _mapped(snapshot: Snapshot, mappings: Iterable[Mapping], names: tuple[str, ...]) -> Meaning:
    """Rank the models of mappings as `GET /api/services/{service}/models` lists them; models that stand in come last.

    Mappings of one priority share the requests by their weights; one without weight waits until they fail.
    """
    ordered = sorted(mappings, key=lambda m: (m.priority, -m.weight, m.function_name, m.variant_name))
    ranks = {key: rank for rank, key in enumerate(dict.fromkeys((m.priority, m.weight > 0) for m in ordered))}
    shares = [
        Share(_with_others(snapshot, row), ranks[m.priority, m.weight > 0], m.weight or 1.0)
        for m in ordered
        if (row := snapshot.models.get(m.model_id)) is not None
    ]
    stand_ins = [
        Share(_with_others(snapshot, row), len(ranks) + place)
        for place, m in enumerate(ordered)
        if (row := snapshot.models.get(m.fallback_model_id)) is not None
    ]
    return Meaning((*shares, *stand_ins), names)


def _with_others(snapshot: Snapshot, row: Model) -> tuple[Model, ...]:
    """A row, then those of the same name at other providers: they are the same model elsewhere.

    A row that is not offered stands alone: nobody takes its place in a mapping.
    """
    if not is_offered(snapshot, row):
        return (row,)
    others = [other for other in snapshot.models.where("name", row.name) if other.id != row.id]
    return (row, *_in_order(snapshot, [other for other in others if other.model_type == row.model_type]))


def _in_order(snapshot: Snapshot, rows: Iterable[Model]) -> tuple[Model, ...]:
    return tuple(sorted(rows, key=lambda row: (row.routing_priority, snapshot.providers[row.provider_id].name)))


def _names(asked: str, rows: Iterable[Model]) -> tuple[str, ...]:
    """Several models of different names are not all allowed because one of them is."""
    own = {row.name for row in rows}
    return (asked, *own) if len(own) == 1 else (asked,)


def _service(snapshot: Snapshot, reference: str) -> str | None:
    try:
        return find_service(snapshot, reference)
    except NotFound:
        return None


def _only(shares: Iterable[Share], wanted: Callable[[Model], bool]) -> tuple[Share, ...]:
    """The shares without the rows that are not wanted, and without those that have none left."""
    kept = (replace(share, rows=tuple(filter(wanted, share.rows))) for share in shares)
    return tuple(share for share in kept if share.rows)


def _why_not_offered(snapshot: Snapshot, row: Model) -> str:
    provider = snapshot.providers.get(row.provider_id)
    at = provider.name if provider else row.provider_id
    if provider is None or not provider.active:
        return f"its provider {at} is not active"
    return f"at {at} it is not active" if not row.active else f"at {at} its status is {row.status}"


def _holds(context: str | None) -> bool:
    """Whether an alias of this context is a name for everybody."""
    return context in GATEWAY_CONTEXTS


def _all_names(snapshot: Snapshot) -> set[str]:
    return set(_every_name(snapshot))


def _every_name(snapshot: Snapshot) -> Iterator[str]:
    yield from (row.name for row in snapshot.models if is_offered(snapshot, row))
    yield from (alias.alias for alias in snapshot.aliases if _holds(alias.context))
    for function in snapshot.functions:
        yield f"{function.service_name}/{function.function_name}"
        yield function.service_name
