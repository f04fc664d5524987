"""The known name that a misspelt one is nearest to. Every message that refuses a name by its spelling asks here."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from itertools import islice

_ALIKE = 0.65
"""Of two names, as `difflib` counts. Lower takes `price` for `provider`."""
_LONGEST = 80
_MOST = 500
"""Names that are compared, and characters of each. One comparison takes some 20 us, and callers choose the names."""
MOST_LISTED = 100


def nearest(word: str, known: Collection[str]) -> str | None:
    """Return the known name that is most like a word, in any case; None if none is."""
    wanted = word[:_LONGEST].casefold()
    names = known if len(known) <= _MOST else (name for name in known if name[:1].casefold() == wanted[:1])
    folded = {name[:_LONGEST].casefold(): name for name in islice(names, _MOST)}
    close = get_close_matches(wanted, folded, 1, _ALIKE)
    return folded[close[0]] if close else None


def letters_of(name: str) -> str:
    """Return what the spellings of a name have in common: `hi-rag`, `hirag` and `Hi_RAG` have the same letters."""
    return "".join(filter(str.isalnum, name.casefold()))


def suggestion(word: str, known: Collection[str]) -> str:
    """Return a hint about a word that is not known: the nearest known one, or else all."""
    close = nearest(word, known)
    return f"did you mean {close!r}?" if close else f"known here: {listed(known)}"


def listed(known: Collection[str]) -> str:
    """Return names as a list for a message, and how many more there are."""
    more = f" and {len(known) - MOST_LISTED:,} more" if len(known) > MOST_LISTED else ""
    return (", ".join(islice(known, MOST_LISTED)) or "none") + more
