"""Secrets in text: found and masked. Every text that is stored, published, shown or logged goes by this one detector.

It is there against mistakes: a key pasted where its name belongs, a URL with a password in an error's message. Anybody
who wants to hide a key from it can. Two measures: what callers write is *refused*, so it must be certain; what events
and logs bring is *masked*, so it may be eager. Pure; masking what is masked changes nothing, whatever the order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from model_registry.entities.secret_names import announces, is_key_for_a_name, is_literal, is_placeholder
from model_registry.entities.secret_shapes import HINTS, NKEY_LENGTH, NKEY_SEED, SHAPES

_clean: set[str] = set()
"""Short texts without secrets: names of nodes, models and fields come again and again."""
_MOST_CLEAN = 20_000
_REMEMBERED_LENGTH = 300

_PASSES = 8
_WORD_END = re.compile(r"[\s\"'\\<>…]")

_SHOWN = 4
_SHOWN_OF = 16
"""Of a shorter one no character is shown."""

_WORDS = (
    *("key", "ecret", "oken", "passw", "pwd", "passphrase", "uthori", "redential", "signature"),
    *("@", "env::", "os.environ/", "?", "earer"),
)
"""In lower case: without one of these no name in a text announces anything, and no URL holds a password."""

_URL = re.compile(r":(?:\\?/){2}([^\s/?#\"'<>\\]*)@")
_ENV = re.compile(r"\benv::([A-Za-z0-9_-]+)|\bos\.environ/([A-Za-z0-9_-]+)")
_QUERY = re.compile(r"[?&;#]([A-Za-z][\w.-]{0,40})=([^\s&#\"'<>;\\,)\]}]+)")
_COLOUR = r"(?:\x1b\[[\d;]*m)*"
_NAMED = re.compile(
    r"(?:(?<![A-Za-z0-9_-])|(?<=\dm)|(?<=\\[nrt])|(?<![A-Za-z0-9_-]--)(?<=--))([A-Za-z][A-Za-z0-9_-]{1,40})(?![A-Za-z0-9_-])"
    + _COLOUR
    + r"(?:\\?[\"'])?\s{0,3}(?:=>|:=|[:=])\s{0,3}"
    + _COLOUR
    + r"(?:b?\\?[\"'])?",
    re.IGNORECASE,
)
_FLAG = re.compile(r"(?<![A-Za-z0-9_-])--([A-Za-z][A-Za-z0-9_-]{1,40})(?:[\"'],)?\s{1,3}[\"']?")
_VALUE = re.compile(r"(?:(?:bearer|basic|token|apikey|digest)\s{1,3})?([^\s\"'\\,;&<>)\]}]{4,128})", re.IGNORECASE)
"""Its beginning, which says what it is."""
_VALUE_END = re.compile(r"[\s\"'\\,;&<>)\]}]")
_BEARER = re.compile(r"\bbearer\s+([A-Za-z0-9._~+/=-]{16,})", re.IGNORECASE)
_RUN = re.compile(r"[A-Za-z0-9]+")
_LOTTERY_RUN = 8
_LONG_RUN = 16
_CERTAIN_RUN = 12
_DOCUMENTED = re.compile(r"your|example|placeholder|redacted|[xX*.•]{6}|\.\.\.", re.IGNORECASE)


class Found(NamedTuple):
    """A secret in a text."""

    start: int
    end: int
    kind: str


def mask(secret: str) -> str:
    """What is shown in a secret's place: `sk-a…(51 characters)`. Says which one it was to whoever has it."""
    shown = secret[:_SHOWN] if len(secret) >= _SHOWN_OF else ""
    return f"{shown}…({len(secret)} characters)"


def find_secrets(text: str, *, eager: bool = False) -> list[Found]:
    """The secrets of a text from left to right, none inside another. `eager`: also what only may be one."""
    if text in _clean or _is_plain(text):
        _remember(text)
        return []
    ranked = sorted(_candidates(text, eager=eager), key=lambda found: (found.start, -found.end))
    if not ranked and eager:
        _remember(text)
    apart: list[Found] = []
    for found in ranked:
        if not apart or found.start >= apart[-1].end:
            apart.append(found)
        elif found.end > apart[-1].end:
            apart[-1] = apart[-1]._replace(end=found.end)
    return apart


def mask_secrets(text: str, *, eager: bool = True) -> str:
    """The text with its secrets masked."""
    return masked_text(text, eager=eager)[0]


def masked_text(text: str, *, eager: bool = True) -> tuple[str, int]:
    """The text with its secrets masked, and how many there were."""
    number = passes = 0
    # Until there is none: what stands directly behind a secret has a beginning only once that is masked.
    while found := find_secrets(text, eager=eager):
        passes += 1
        if passes > _PASSES:
            found = _with_what_follows(text, found)
        text, number = mask_found(text, found), number + len(found)
    return text, number


def _with_what_follows(text: str, found: list[Found]) -> list[Found]:
    """Each to the end of its word. Thousands of keys in one word are somebody's joke, and would take a pass each."""
    wider: list[Found] = []
    for one in found:
        if not wider or one.start >= wider[-1].end:
            end = _WORD_END.search(text, one.end)
            wider.append(one._replace(end=end.start() if end else len(text)))
    return wider


def masked_beginning(text: str, length: int) -> tuple[str, int]:
    """The beginning of a text with its secrets masked, and how many: one that the cut would halve is masked whole."""
    for found in find_secrets(text, eager=True):
        if found.start < length < found.end:
            length = found.end
    return masked_text(text[:length])


def mask_found(text: str, found: list[Found]) -> str:
    """The text with these masked."""
    parts, at = [], 0
    for one in found:
        parts += [text[at : one.start], mask(text[one.start : one.end])]
        at = one.end
    return "".join([*parts, text[at:]])


def _is_plain(text: str) -> bool:
    """Whether there is nothing in it to look at: so with nearly all."""
    for hint in HINTS:  # a loop takes half of what `any` takes, and this is asked of every text
        if hint in text:
            return False
    lower = text.lower()
    for word in _WORDS:
        if word in lower:
            return False
    return len(text) < NKEY_LENGTH or not NKEY_SEED.search(text)


def _remember(text: str) -> None:
    if len(text) <= _REMEMBERED_LENGTH and text not in _clean:
        if len(_clean) >= _MOST_CLEAN:
            _clean.clear()
        _clean.add(text)


def _candidates(text: str, *, eager: bool) -> Iterator[Found]:
    yield from _shaped(text)
    yield from _in_urls(text, eager=eager)
    for match in _ENV.finditer(text):
        group = 1 if match[1] else 2
        if is_key_for_a_name(match[group]):
            yield Found(match.start(group), match.end(group), "key in place of a variable's name")
    yield from _named(text, eager=eager)
    for match in _BEARER.finditer(text):
        if _is_certain(match[1]):
            yield Found(match.start(1), match.end(1), "bearer token")


def _named(text: str, *, eager: bool) -> Iterator[Found]:
    """What stands behind a name that announces it. No match holds the value: `error: token="..."` has two names."""
    for names in (_NAMED, _FLAG):
        known = 0
        for match in names.finditer(text):
            if match.start() < known or not announces(match[1]):
                continue
            value = _VALUE.match(text, match.end())
            if value and _is_named_secret(value[1], match[1], eager=eager):
                end = _VALUE_END.search(text, value.end())
                known = end.start() if end else len(text)
                yield Found(value.start(1), known, f"value of {match[1]}")


def _shaped(text: str) -> Iterator[Found]:
    for shape in SHAPES:
        if any(hint in text for hint in shape.hints):
            for match in shape.pattern.finditer(text):
                if not shape.random or _is_drawn(match[0]):
                    yield Found(match.start(), match.end(), shape.kind)
    if len(text) >= NKEY_LENGTH:
        for match in NKEY_SEED.finditer(text):
            yield Found(match.start(), match.end(), "NATS seed")


def _in_urls(text: str, *, eager: bool) -> Iterator[Found]:
    for match in _URL.finditer(text):
        user, colon, password = match[1].partition(":")
        start = match.end(1) - len(password)
        if colon and password and "…" not in password and (eager or not is_placeholder(password)):
            yield Found(start, match.end(1), "password in a URL")
        elif user and not colon and (_is_certain(user) or (eager and text.endswith(("nats", "tls"), 0, match.start()))):
            yield Found(match.start(1), match.end(1), "token in a URL")
    for match in _QUERY.finditer(text):
        if announces(match[1], in_query=True) and is_literal(match[2], "apikey"):
            yield Found(match.start(2), match.end(2), f"value of {match[1]} in a URL's query")


def _is_named_secret(value: str, name: str, *, eager: bool) -> bool:
    """In a text, `password: secret` may be a sentence, and an example in a schema is one."""
    if not is_literal(value, name):
        return False
    return _is_certain(value) or (eager and (any(c.isdigit() for c in value) or len(value) >= _LONG_RUN))


def _is_certain(value: str) -> bool:
    """Whether nobody writes this but a machine: letters and digits, mixed, in one piece."""
    return (
        len(value) >= _LONG_RUN
        and any(
            len(run) >= _CERTAIN_RUN and any(c.isdigit() for c in run) and any(c.isalpha() for c in run)
            for run in _RUN.findall(value)
        )
        and not is_placeholder(value)
    )


def _is_drawn(key: str) -> bool:
    """Whether a key with a known beginning goes on as keys do, and not as words or as an example does."""
    if _DOCUMENTED.search(key):
        return False
    for run in _RUN.findall(key):
        if len(run) >= _LONG_RUN:
            return True
        if len(run) >= _LOTTERY_RUN and any(c.isdigit() for c in run) and any(c.isalpha() for c in run):
            return True
    return False
