"""Computes the exact costs of one request at all models. Choosing models by cost is in `constraints.py`, `scoring.py`.

Plain prices of tokens are integers of the smallest decimal unit that any of them needs, so that thousands of models
take a few passes over lists. Models with further prices are computed one by one (`price_sheet.py`), exactly as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, Field

from model_registry.entities.model import Model
from model_registry.entities.prices import PLAIN, STANDARD, plain_text
from model_registry.selection.model_index import Mask, ModelIndex, has
from model_registry.selection.model_numbers import reader
from model_registry.selection.price_sheet import EXACT, Charge, Priced, PriceSheet, price_sheet
from model_registry.selection.request_counts import TokenCounts

INPUT, OUTPUT, CACHED = PRICES = tuple(PLAIN.values())
_MILLION_DIGITS = 6

_Price = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Costs:
    """The cost of one request at each model of an index."""

    units: Sequence[int]
    """In units of 10 ** -digits US dollars; undefined where a price is unknown."""
    digits: int
    known: Mask
    """The models with all prices that the request needs."""
    sheets: dict[int, Priced] = field(default_factory=dict)
    """Position -> the cost of a model whose further prices concern the request."""

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
    return index.memo_lru(("costs", tokens.key), lambda: _with_sheets(index, tokens, _plain_costs(index, tokens)))


def _plain_costs(index: ModelIndex, tokens: TokenCounts) -> Costs:
    """Compute the costs at plain prices."""
    prices = index.memo("prices", lambda: _Prices(index))
    units, known = [0] * len(index.rows), index.everything
    if _beyond_tokens(tokens):
        known = 0
    for name, number in _needed(tokens):
        known &= prices.known[name]
        units = [sofar + price * number for sofar, price in zip(units, prices.units[name], strict=True)]
    return Costs(units, prices.digits + _MILLION_DIGITS, known | index.free())


def _with_sheets(index: ModelIndex, tokens: TokenCounts, plain: Costs) -> Costs:
    """Replace the costs of models that have further prices."""
    request = tokens.counted()
    upto = request.input_tokens if request.plain else math.inf
    # Most models have the plain prices only, as long as a request is short.
    sheets = {
        position: sheet for position, sheet in _sheets(index).items() if upto > sheet.plain_up_to or upto == math.inf
    }
    priced = {position: sheet.cost(request, free=has(index.free(), position)) for position, sheet in sheets.items()}
    totals = {position: _total(cost.charges) for position, cost in priced.items() if not cost.missing}
    digits = max((plain.digits, *(-_exponent(total) for total in totals.values())))
    scale = 10 ** (digits - plain.digits)
    units = list(plain.units) if scale == 1 else [number * scale for number in plain.units]
    for position, total in totals.items():
        units[position] = int(EXACT.scaleb(total, digits))
    unpriced = index.mask_of(position for position in priced if position not in totals)
    return Costs(units, digits, (plain.known | index.mask_of(totals)) & (index.everything ^ unpriced), priced)


def _sheets(index: ModelIndex) -> dict[int, PriceSheet]:
    column = index.columns.column("price sheet", price_sheet)
    return index.memo("price sheets", lambda: {at: sheet for at, sheet in enumerate(column) if sheet is not None})


def _exponent(value: Decimal) -> int:
    return int(value.as_tuple().exponent)


def _total(charges: Sequence[Charge]) -> Decimal:
    total = Decimal(0)
    for charge in charges:
        total = EXACT.add(total, charge.cost)
    return total


def cost_parts(index: ModelIndex, position: int, tokens: TokenCounts) -> dict[str, Decimal]:
    """Return the cost of each kind of tokens, and of all else, at a model whose prices are known."""
    if (priced := request_costs(index, tokens).sheets.get(position)) is not None:
        kinds: dict[str, list[Charge]] = {"input": [], "cached_input": [], "output": [], "other": []}
        for charge in priced.charges:
            kinds[_kind(charge.unit)].append(charge)
        return {kind: _total(charges) for kind, charges in kinds.items()}
    prices = index.memo("prices", lambda: _Prices(index))
    costs = {price: prices.units[price][position] * number for price, number in _needed(tokens)}
    names = {INPUT: "input", CACHED: "cached_input", OUTPUT: "output"}
    parts = {kind: dollars(costs.get(price, 0), prices.digits + _MILLION_DIGITS) for price, kind in names.items()}
    return parts | {"other": Decimal(0)}


def _kind(unit: str) -> str:
    if not unit.endswith("_tokens"):
        return "other"
    if "cached" in unit:
        return "cached_input"
    return "output" if unit.startswith(("output", "reasoning", "citation")) else "input"


def missing_prices(index: ModelIndex, position: int, tokens: TokenCounts) -> list[str]:
    """Return what is not known of a model and the cost of a request depends on."""
    if (priced := request_costs(index, tokens).sheets.get(position)) is not None:
        return list(priced.missing)
    prices = index.memo("prices", lambda: _Prices(index))
    missing = [name for name, _ in _needed(tokens) if not has(prices.known[name], position)]
    return list(dict.fromkeys([*(INPUT if name == CACHED else name for name in missing), *_beyond_tokens(tokens)]))


def not_included(index: ModelIndex, position: int, tokens: TokenCounts) -> list[str]:
    """Return what a model charges for and a request says nothing of."""
    sheet = _sheets(index).get(position)
    return [] if sheet is None else sheet.not_included(tokens.counted())


def dollars(units: int, digits: int) -> Decimal:
    """Convert units of 10 ** -digits dollars. Through text, because arithmetic would round to 28 digits."""
    return Decimal(f"{units}E-{digits}")


def amount(value: Decimal) -> dict[str, Any]:
    """Convert money for a response: exact text, and a number for display."""
    return {"exact": plain_text(value), "number": float(value)}


class Amount(BaseModel):
    """US dollars."""

    exact: str = Field(description="The exact amount.", examples=["0.00045"])
    number: float = Field(description="The nearest double.", examples=[0.00045])


class _Prices:
    """Every plain price as an integer of one common unit."""

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
    """Return each plain price that a request needs, with the number of tokens."""
    stated = tokens.stated()
    cached = sum(int(count) for unit, count in stated.items() if unit.endswith("_tokens") and "cached" in unit)
    counts = ((INPUT, tokens.input_tokens - cached), (CACHED, cached), (OUTPUT, tokens.output_tokens))
    return [(price, number) for price, number in counts if number]


def _beyond_tokens(tokens: TokenCounts) -> list[str]:
    """Return what no plain price says anything of."""
    needs = [f"the price of {unit}" for unit in tokens.charged() if not unit.endswith("_tokens") and unit != "requests"]
    needs += ["the price of citation_tokens"] if tokens.counts.citation_tokens else []
    needs += [f"the prices in the service tier {tokens.service_tier}"] if tokens.service_tier != STANDARD else []
    return needs + ([f"the prices for {tokens.variant}"] if tokens.variant is not None else [])
