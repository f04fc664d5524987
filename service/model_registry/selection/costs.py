"""Computes the exact costs of requests. Choosing models by cost is in `constraints.py` and `scoring.py`.

Prices are the decimals as written. They are converted to integers of the smallest decimal unit that any price needs,
so that sums and comparisons are exact and fast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from model_registry.catalog.views import ModelLabel, View, model_label_view
from model_registry.entities.base import LongName
from model_registry.entities.model import Model
from model_registry.selection.list_filters import ModelFilter, passing
from model_registry.selection.model_index import Mask, ModelIndex, has
from model_registry.selection.model_numbers import reader
from model_registry.snapshot.lookup import find_models
from model_registry.snapshot.snapshot import Snapshot

CURRENCY = "USD"

INPUT, OUTPUT, CACHED = PRICES = (
    "cost_per_1m_input_tokens",
    "cost_per_1m_output_tokens",
    "cost_per_1m_cached_input_tokens",
)
_MILLION_DIGITS = 6

_Price = tuple[int, int]

Count = Annotated[int, Field(ge=0, le=10**12)]


class TokenCounts(BaseModel):
    """The tokens of one request."""

    input_tokens: Count = 1000
    output_tokens: Count = 1000
    cached_input_tokens: Count = Field(
        0,
        description="Input tokens read from the provider's cache; charged at the input price where the model has "
        "none for them.",
    )

    @field_validator("cached_input_tokens")
    @classmethod
    def _within_input(cls, value: int, others: ValidationInfo) -> int:
        whole = others.data.get("input_tokens")
        if whole is not None and value > whole:
            message = f"must not be more than input_tokens ({whole})"
            raise ValueError(message)
        return value


@dataclass(frozen=True, slots=True)
class Costs:
    """The cost of one request at each model of an index."""

    units: Sequence[int]
    """In units of 10 ** -digits US dollars; undefined where a price is unknown."""
    digits: int
    known: Mask
    """The models with all prices that the request needs."""

    def at_most(self, index: ModelIndex, limit: Decimal) -> Mask:
        """Return the models with a known cost of at most `limit` dollars."""
        numerator, denominator = limit.as_integer_ratio()
        most = numerator * 10**self.digits // denominator
        return self.known & index.mask([units <= most for units in self.units])

    def dollars(self, position: int) -> Decimal | None:
        """Return the exact cost at one model; None where unknown."""
        return dollars(self.units[position], self.digits) if has(self.known, position) else None


def request_costs(index: ModelIndex, tokens: TokenCounts) -> Costs:
    """Compute the cost of a request at each model."""
    counts = tokens.input_tokens, tokens.output_tokens, tokens.cached_input_tokens
    return index.memo_lru(("costs", counts), lambda: _request_costs(index, tokens))


def _request_costs(index: ModelIndex, tokens: TokenCounts) -> Costs:
    prices = index.memo("prices", lambda: _Prices(index))
    units, known = [0] * len(index.rows), index.everything
    for name, number in _needed(tokens):
        known &= prices.known[name]
        units = [sofar + price * number for sofar, price in zip(units, prices.units[name], strict=True)]
    return Costs(units, prices.digits + _MILLION_DIGITS, known)


def cost_parts(index: ModelIndex, position: int, tokens: TokenCounts) -> dict[str, Decimal]:
    """Return the cost of each kind of tokens at a model whose prices are known."""
    prices = index.memo("prices", lambda: _Prices(index))
    kinds = {INPUT: "input", OUTPUT: "output", CACHED: "cached_input"}
    costs = {price: prices.units[price][position] * number for price, number in _needed(tokens)}
    return {kind: dollars(costs.get(price, 0), prices.digits + _MILLION_DIGITS) for price, kind in kinds.items()}


def missing_prices(index: ModelIndex, position: int, tokens: TokenCounts) -> list[str]:
    """Return the unknown prices of a model that the cost of a request depends on."""
    prices = index.memo("prices", lambda: _Prices(index))
    missing = [name for name, _ in _needed(tokens) if not has(prices.known[name], position)]
    return list(dict.fromkeys(INPUT if name == CACHED else name for name in missing))


def dollars(units: int, digits: int) -> Decimal:
    """Convert units of 10 ** -digits dollars. Through text, because arithmetic would round to 28 digits."""
    return Decimal(f"{units}E-{digits}")


def amount(value: Decimal) -> dict[str, Any]:
    """Convert money for a response: exact text, and a number for display."""
    text = f"{value:f}"
    return {"exact": text.rstrip("0").rstrip(".") if "." in text else text, "number": float(value)}


class Amount(BaseModel):
    """US dollars."""

    exact: str = Field(description="The exact amount.", examples=["0.00045"])
    number: float = Field(description="The nearest double.", examples=[0.00045])


class _Prices:
    """Every price as an integer of one common unit."""

    def __init__(self, index: ModelIndex) -> None:
        read = {name: index.columns.column(("price", name), _reading(name)) for name in PRICES}
        read[CACHED] = [own or of_input for own, of_input in zip(read[CACHED], read[INPUT], strict=True)]
        self.known = {name: index.mask([price is not None for price in column]) for name, column in read.items()}
        different = {price for column in read.values() for price in column if price is not None}
        self.digits = max((0, *(-exponent for _, exponent in different)))
        units = {price: price[0] * 10 ** (self.digits + price[1]) for price in different}
        self.units = {name: [0 if price is None else units[price] for price in column] for name, column in read.items()}


def _reading(name: str) -> Callable[[Model], _Price | None]:
    read = reader(name)
    return lambda model: _exact(read(model))


@lru_cache(maxsize=2**14)  # few distinct prices
def _exact(price: float) -> _Price | None:
    """Convert a price to an integer and a power of ten, from the float's shortest decimal representation."""
    if not price >= 0:  # NaN (unknown) as well
        return None
    digits, _, exponent = repr(price).partition("e")
    whole, _, fraction = digits.partition(".")
    return int(whole + fraction), int(exponent or 0) - len(fraction)


def _needed(tokens: TokenCounts) -> list[tuple[str, int]]:
    """Return each price that a request needs, with the number of tokens."""
    counts = (
        (INPUT, tokens.input_tokens - tokens.cached_input_tokens),
        (CACHED, tokens.cached_input_tokens),
        (OUTPUT, tokens.output_tokens),
    )
    return [(price, number) for price, number in counts if number]


class EstimateRequest(TokenCounts):
    """Number and size of the requests, and the models to compare."""

    requests: Annotated[int, Field(ge=0, le=10**12)] = 1
    models: Annotated[list[LongName], Field(max_length=1000)] | None = Field(
        None,
        description="Ids, names, providers' names or aliases. A name of several providers selects all its rows.",
    )
    filter: ModelFilter = Field(
        ModelFilter(offered=True),
        description="Selects models when `models` is omitted. By default all offered models.",
    )
    limit: Annotated[int, Field(ge=1, le=10_000)] = 100


class Estimate(ModelLabel):
    """The cost of the requests at one model."""

    input: Amount
    cached_input: Amount
    output: Amount
    per_request: Amount
    total: Amount


class Unpriced(ModelLabel):
    """A model whose cost is unknown."""

    why: str


class Estimates(BaseModel):
    """Costs per model, cheapest first, then in stable order."""

    currency: str
    items: list[Estimate]
    count: int
    unpriced: list[Unpriced]
    unpriced_count: int


def estimates(snapshot: Snapshot, index: ModelIndex, request: EstimateRequest) -> View:
    """Estimate the cost at each selected model. Errors: ModelNotFound, Invalid."""
    costs = request_costs(index, request)
    mask = _meant(snapshot, index, request)
    priced = sorted((costs.units[position], position) for position in index.positions(mask & costs.known))
    unpriced = index.positions(mask & ~costs.known)

    def estimate(units: int, position: int) -> dict[str, Any]:
        parts = {kind: amount(part) for kind, part in cost_parts(index, position, request).items()}
        whole = {
            "per_request": amount(dollars(units, costs.digits)),
            "total": amount(dollars(units * request.requests, costs.digits)),
        }
        return model_label_view(snapshot, index.rows[position]) | parts | whole

    return {
        "currency": CURRENCY,
        "items": [estimate(units, position) for units, position in priced[: request.limit]],
        "count": len(priced),
        "unpriced": [_unpriced(snapshot, index, position, request) for position in unpriced[: request.limit]],
        "unpriced_count": len(unpriced),
    }


def _meant(snapshot: Snapshot, index: ModelIndex, request: EstimateRequest) -> Mask:
    if request.models is None:
        return passing(snapshot, index, request.filter)
    ids = {model.id for name in request.models for model in find_models(snapshot, name)}
    return index.mask_of(position for row_id in ids if (position := index.position(row_id)) is not None)


def _unpriced(snapshot: Snapshot, index: ModelIndex, position: int, request: EstimateRequest) -> dict[str, Any]:
    missing = ", ".join(missing_prices(index, position, request))
    return model_label_view(snapshot, index.rows[position]) | {"why": f"not known: {missing}"}
