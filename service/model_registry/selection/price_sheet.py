"""The prices of one model, and what one request costs at them: exact, or what is not known. Pure.

The rules are those of LiteLLM's map, where most prices come from: all input tokens of a request decide its price by
length, the price of the highest step below them holds for the whole request, and tokens without a price of their own
have that of the unit named in `INSTEAD`. Where LiteLLM falls back to a price of other terms or of a shorter request,
the cost is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any

from pydantic import TypeAdapter, ValidationError

from model_registry.entities.gpu_memory import number
from model_registry.entities.model import Model
from model_registry.entities.prices import INSTEAD, PLAIN, STANDARD, Factor, FurtherPrice, Tier, Unit
from model_registry.selection.request_counts import Counted

_MILLION = 6

_PRODUCTS: Mapping[str, tuple[Unit, ...]] = {
    "image": ("output_images", "output_pixels", "output_image_tokens"),
    "tts": ("input_characters", "output_characters", "output_audio_seconds", "output_audio_tokens"),
    "audio": ("audio_seconds", "input_audio_tokens"),
    "reranker": ("queries",),
}
"""Model type -> what every request has some of: where it is charged, a request must say how much."""

_EXTRAS = frozenset(
    {
        "requests",
        "running_seconds",
        "web_searches_low",
        "web_searches_medium",
        "web_searches_high",
        "maps_searches",
        "code_sessions",
    }
)
"""What a request has by itself, or may do without."""

_FACTOR: TypeAdapter[Decimal] = TypeAdapter(Factor)

EXACT = Context(prec=999)
"""Arithmetic that does not round: prices have at most 340 digits, counts 20."""

_Terms = tuple[Unit, Tier, str | None]


@dataclass(frozen=True, slots=True)
class Charge:
    """One unit of a request at one model."""

    unit: Unit
    count: int | Decimal
    price: Decimal
    """US dollars for one."""
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Priced:
    """The cost of one request at one model."""

    charges: tuple[Charge, ...] = ()
    missing: tuple[str, ...] = ()
    """What is not known; without it the cost is exact."""


@dataclass(slots=True)
class PriceSheet:
    """The prices of one model."""

    model_type: str
    steps: dict[_Terms, list[tuple[int, Decimal]]] = field(default_factory=dict)
    """By what is charged and on which terms: input tokens above which a price holds, and US dollars for one."""
    factors: dict[str, Decimal] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    """Charges that cannot be counted."""
    unreadable: bool = False
    """Whether SQL has put something else into the card."""
    priced: list[Unit] = field(default_factory=list)
    """What the model takes money for, on any terms."""
    products: list[Unit] = field(default_factory=list)
    """Of these, what a model of its type makes or takes in every request."""
    always: list[Unit] = field(default_factory=list)
    """The same, as its prices say."""
    thinks: bool = False
    """Whether thinking has a price of its own."""
    plain_up_to: float = -1
    """The input tokens up to which the plain prices are all that a request of text has to know."""

    def cost(self, request: Counted, *, free: bool = False) -> Priced:
        """Compute the cost of a request. `free`: what has no price costs nothing."""
        if self.unreadable:
            return Priced(missing=("its further_prices and price_factors, which are not readable",))
        counts = self._counted(request)
        charges: list[Charge] = []
        missing = [f"{unit}, which the request does not say" for unit in self._unstated(request, counts)]
        for unit, count in counts.items():
            if unit == "requests" and unit not in self.priced:
                continue
            price = self._price(unit, request)
            if isinstance(price, Decimal):
                charges.append(Charge(unit, count, price, EXACT.multiply(price, count)))
            elif not free:
                missing.append(price)
        return Priced(tuple(charges), tuple(dict.fromkeys(missing)))

    def not_included(self, request: Counted) -> list[str]:
        """Return what the model charges for and the request says nothing of."""
        stated = request.stated
        return [unit for unit in self.priced if unit not in stated and unit != "requests"] + self.others

    def _counted(self, request: Counted) -> dict[Unit, int | Decimal]:
        """Return the counts to charge: without text where the model charges for its product only."""
        counts = dict(request.charged)
        if "output_pixels" in counts and "output_pixels" in self.priced:
            # The price of an image is for those who do not know its size.
            counts.pop("output_images", None)
        if any(not unit.endswith("_tokens") for unit in self.products):
            known = {unit for unit, _, _ in self.steps}
            return {u: n for u, n in counts.items() if u in known or u not in {"input_tokens", "output_tokens"}}
        return counts

    def _unstated(self, request: Counted, counts: Mapping[Unit, int | Decimal]) -> list[str]:
        """Return the counts without which the cost cannot be known."""
        stated = request.stated
        groups = (self.products, self.always)
        unstated = [" or ".join(group) for group in groups if group and not any(unit in stated for unit in group)]
        if self.others and not self.products and not any(unit.endswith("_tokens") for unit in self.priced):
            unstated.append(f"what it charges for as {', '.join(self.others)}")
        if "running_seconds" in self.priced and "running_seconds" not in stated:
            unstated.append("running_seconds")
        if (
            counts.get("output_tokens")
            and self.thinks
            and "reasoning_tokens" not in stated
            and self._price("reasoning_tokens", request) != self._price("output_tokens", request)
        ):
            unstated.append("reasoning_tokens")
        return unstated

    def _price(self, unit: Unit, request: Counted) -> Decimal | str:
        """Return the price of one, or what is not known."""
        tier, variant, length = request.service_tier, request.variant, request.input_tokens
        factor = None if variant is None else self.factors.get(variant)
        if factor is None or any(terms[2] == variant for terms in self.steps):
            return self._at(unit, tier, variant, length)
        price = self._at(unit, tier, None, length)
        if isinstance(price, str) or not unit.endswith("_tokens"):
            return _unknown(unit, tier, variant)
        return EXACT.multiply(price, factor)

    def _at(self, unit: Unit, tier: Tier, variant: str | None, length: int) -> Decimal | str:
        own, usual = self._step((unit, tier, variant), length), self._step((unit, STANDARD, None), length)
        instead = INSTEAD.get(unit)
        if own is None:
            if usual is None and instead is not None:
                return self._at(instead, tier, variant, length)
            return _unknown(unit, tier, variant)
        above, price = own
        # A longer request is dearer there, and nobody says by how much here.
        highest = usual[0] if usual else 0
        while instead is not None:
            if step := self._step((instead, tier, variant), length):
                highest = max(highest, step[0])
            instead = INSTEAD.get(instead)
        return price if highest <= above else _unknown(unit, tier, variant, highest)

    def _step(self, terms: _Terms, length: int) -> tuple[int, Decimal] | None:
        holding = [step for step in self.steps.get(terms, ()) if not step[0] or length > step[0]]
        return holding[-1] if holding else None


def _unknown(unit: Unit, tier: Tier, variant: str | None, above: int = 0) -> str:
    """Name a price that is not known."""
    terms = [f"above {above:,} input tokens"] if above else []
    terms += [f"in the service tier {tier}"] if tier != STANDARD else []
    terms += [f"for {variant}"] if variant else []
    if unit in PLAIN and not terms:
        return PLAIN[unit]
    return f"the price of {unit} {', '.join(terms)}".rstrip()


def price_sheet(model: Model) -> PriceSheet | None:
    """Make the sheet of a model that has more than plain prices."""
    further, factors = model.card.get("further_prices"), model.card.get("price_factors")
    if not further and not factors:
        return None
    sheet = PriceSheet(model.model_type)
    try:
        prices = [FurtherPrice.model_validate(item) for item in _items(further)]
        sheet.factors = {str(n): _FACTOR.validate_python(str(factor)) for n, factor in dict(factors or {}).items()}
    except (ValidationError, ValueError, TypeError, ArithmeticError):
        sheet.unreadable = True
        return sheet
    for unit, name in PLAIN.items():
        if (price := number(model.card.get(name))) >= 0:
            sheet.steps[unit, STANDARD, None] = [(0, EXACT.scaleb(Decimal(repr(price)), -_MILLION))]
    for entry in prices:
        _add(sheet, entry)
    for steps in sheet.steps.values():
        steps.sort()
    sheet.always = sorted({entry.of for entry in prices if entry.every_request and entry.of != "other"})
    priced = {unit for (unit, _, _), steps in sheet.steps.items() if any(price for _, price in steps)}
    sheet.priced = sorted(priced)
    sheet.products = [unit for unit in _PRODUCTS.get(model.model_type, ()) if unit in priced]
    if not sheet.products and not any(unit.endswith("_tokens") for unit in priced):
        # It takes money, though not for tokens.
        sheet.products = [unit for unit in sheet.priced if unit not in _EXTRAS]
    sheet.thinks = any(unit == "reasoning_tokens" for unit, _, _ in sheet.steps)
    _set_plain(sheet)
    return sheet


def _set_plain(sheet: PriceSheet) -> None:
    if (
        sheet.products
        or sheet.always
        or sheet.others
        or sheet.thinks
        or {"requests", "running_seconds"} & {*sheet.priced}
    ):
        return
    plain = [sheet.steps.get((unit, STANDARD, None), []) for unit in PLAIN]
    sheet.plain_up_to = min((above for steps in plain for above, _ in steps if above), default=math.inf)


def _items(further: object) -> Iterable[Any]:
    return further if isinstance(further, list) else [further] if further else []


def _add(sheet: PriceSheet, entry: FurtherPrice) -> None:
    if entry.of == "other":
        sheet.others.append(entry.name or "other")
    else:
        dollars = entry.per_unit if entry.per_million is None else EXACT.scaleb(entry.per_million, -_MILLION)
        terms = (entry.of, entry.tier, entry.variant)
        sheet.steps.setdefault(terms, []).append((entry.above_input_tokens, dollars or Decimal(0)))
