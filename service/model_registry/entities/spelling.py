"""The known name that a misspelt one is nearest to. Every message that refuses a name by its spelling asks here."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from functools import lru_cache
from heapq import nlargest
from itertools import islice

_ALIKE = 0.65
"""Of two names, as `difflib` counts. Lower takes `price` for `provider`."""
_LONGEST = 80
_MOST = 500
"""Limits of what is compared: characters of a name, and names. Callers choose the word, and each name costs time."""
_LIKELY = 8
"""Names that `difflib` compares, which is slow: those that share the most pairs of letters."""
MOST_LISTED = 100


def nearest(word: str, known: Collection[str]) -> str | None:
    """Return the known name that is most like a word, in any case; None if none is. `b` is most like `a.b`."""
    wanted = word[:_LONGEST].casefold()
    names = known if len(known) <= _MOST else (name for name in known if name[:1].casefold() == wanted[:1])
    folded = {name[:_LONGEST].casefold(): name for name in islice(names, _MOST)}
    if nested := [name for name in folded if name.endswith(f".{wanted}")]:
        return folded[nested[0]]
    pairs = _pairs(wanted)
    likely = nlargest(_LIKELY, folded, key=lambda name: len(pairs & _pairs(name)) / (len(wanted) + len(name) + 1))
    close = get_close_matches(wanted, likely, 1, _ALIKE)
    return folded[close[0]] if close else None


@lru_cache(maxsize=2**12)
def _pairs(word: str) -> frozenset[str]:
    return frozenset(word[at : at + 2] for at in range(len(word) - 1))


def letters_of(name: str) -> str:
    """Return what the spellings of a name have in common: `hi-rag`, `hirag` and `Hi_RAG` have the same letters."""
    return "".join(filter(str.isalnum, name.casefold()))


def question(word: str, known: Collection[str]) -> str:
    """Return the sentence that asks for the nearest known word, to be put behind another; empty if none is near."""
    close = nearest(word, known)
    return f" Did you mean {close!r}?" if close else ""


def suggestion(word: str, known: Collection[str]) -> str:
    """Return a hint about a word that is not known: the nearest known one, or else all."""
    close = nearest(word, known)
    return f"did you mean {close!r}?" if close else f"known here: {listed(known)}"


def listed(known: Collection[str]) -> str:
    """Return names as a list for a message, and how many more there are."""
    more = f" and {len(known) - MOST_LISTED:,} more" if len(known) > MOST_LISTED else ""
    return (", ".join(islice(known, MOST_LISTED)) or "none") + more
