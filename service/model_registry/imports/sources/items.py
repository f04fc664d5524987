"""Reads the items of a source one by one: what is wrong with one ends the import of that one, and of no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from model_registry.entities.base import json_problem
from model_registry.entities.offer import Offer, PassedOver, SourceContent
from model_registry.errors import SourceUnreadable

_ODD = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading JSON of another shape, or with numbers out of all bounds, ends with."""
MOST_FAILURES = 10
"""In a row, after which a source is not asked for the rest: each failure can take half a minute."""

T = TypeVar("T")


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
    except _ODD as error:
        return SourceContent((), unread=(_odd(name, error),))


def _odd(name: str, error: Exception) -> PassedOver:
    return PassedOver(printed(name), f"cannot be understood ({type(error).__name__}: {str(error)[:200]})")


def printed(name: str) -> str:
    """Return a name that every output takes."""
    return name.encode("utf-8", "replace").decode()


def fetch_each(
    names: Sequence[str],
    fetch: Callable[[str], T],
    advance: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[dict[str, T], tuple[PassedOver, ...]]:
    """Fetch something for each name. Answers what was fetched, and the names for which that failed, with the reason."""
    fetched: dict[str, T] = {}
    unread: list[PassedOver] = []
    failures = 0
    for done, name in enumerate(names, 1):
        if failures == MOST_FAILURES:
            unread.append(PassedOver(name, f"not asked for, after {MOST_FAILURES} failures in a row"))
            continue
        try:
            fetched[name] = fetch(name)
            failures = 0
        except SourceUnreadable as error:
            unread.append(PassedOver(name, error.message))
            failures += 1
        except _ODD as error:
            unread.append(_odd(name, error))
        advance(done, len(names))
    return fetched, tuple(unread)
