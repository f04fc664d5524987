"""Reads the items of a source one by one: what is wrong with one ends the import of that one, and of no other."""

from __future__ import annotations

from collections.abc import Callable

from model_registry.entities.base import json_problem
from model_registry.entities.offer import Offer, PassedOver, SourceContent

ODD = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading JSON of another shape, or with numbers out of all bounds, ends with."""
MOST_FAILURES = 10
"""In a row, after which a source is not asked for the rest: each failure can take half a minute."""


class Unusable(ValueError):
    """A value that is none, such as a price of NaN: the message says which."""


def make_offer(name: str, make: Callable[[], Offer]) -> SourceContent:
    """Make the offer of one item; an item that cannot be understood is `unread`."""
    try:
        offer = make()
        # What JSON cannot carry would end the request for all others.
        if problem := json_problem(offer.model_dump()):
            return SourceContent((), unread=(PassedOver(printed(name), problem),))
        return SourceContent((offer,))
    except Unusable as error:
        return SourceContent((), unread=(PassedOver(printed(name), str(error)),))
    except ODD as error:
        return SourceContent((), unread=(odd(name, error),))


def odd(name: str, error: Exception) -> PassedOver:
    """Note an item that made its reader fail."""
    return PassedOver(printed(name), f"cannot be understood ({type(error).__name__}: {str(error)[:200]})")


def printed(name: str) -> str:
    """Return a name that every output takes."""
    return name.encode("utf-8", "replace").decode()
