"""Reduces the gateway's messages to words that their reader wrote, so that nothing else it read leaks. Pure.

A word is kept when it occurs in the project, or is a plain word, an identifier or a short number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

LONGEST = 2000
"""Characters of a message, at most."""
MOST_WARNINGS, LONGEST_WARNING = 50, 500

_QUOTED = re.compile(r"\"(?:[^\"\\\n]|\\.){3,}\"|'(?:[^'\\\n]|\\.){3,}'|`[^`\n]{3,}`")
_WORD = re.compile(r"[^\s\"'`,;()\[\]{}<>|]+")
_PLAIN = re.compile(r"[A-Za-z]{1,24}(?:['-][A-Za-z]{1,24}){0,3}")
_IDENTIFIER = re.compile(r"(?:[a-z]+[0-9]{0,3}(?:_|::|\.)?){1,8}|[A-Z][A-Z_]{1,40}")
_NUMBER = re.compile(r"-?[0-9]{1,6}(?:[.:][0-9]{1,6}){0,2}%?")
_MARKS = ".:!?-=/*+&^…#"
_JSON_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
"""Text in double quotes is a user's value, or one of these."""
_LONGEST_IDENTIFIER = 48
_CUT = "…"


class Quoter:
    """Reduces messages about one project."""

    def __init__(self, files: Mapping[str, bytes], directory: str) -> None:
        self._texts = ["\n".join(files), *(content.decode("utf-8", "replace") for content in files.values())]
        self._directory = re.compile(rf"(?:[^\s\"'`,;(){{}}]*/)?{re.escape(directory)}(?:/project)?/?")

    def message(self, text: str, longest: int = LONGEST) -> str:
        """Replace all words that are neither known nor the reader's."""
        text = self._directory.sub("", text[: 8 * longest])
        text = _QUOTED.sub(lambda quoted: self._quoted(quoted[0]), text)
        text = _WORD.sub(lambda word: self._word(word[0]), text)
        return text if len(text) <= longest else f"{text[:longest]}{_CUT}"

    def warnings(self, texts: Iterable[str]) -> tuple[str, ...]:
        """Reduce the warnings, up to a maximum number."""
        return tuple(self.message(text, LONGEST_WARNING) for text in list(texts)[:MOST_WARNINGS])

    def _quoted(self, quoted: str) -> str:
        """Keep a quotation if the reader wrote it, or it is a name of the gateway."""
        inside = quoted[1:-1]
        known = inside in _JSON_TYPES if quoted[0] == '"' else _is_known(inside) or quoted[0] == "`"
        return quoted if known or self._is_theirs(inside) else f"{quoted[0]}{_CUT}{quoted[0]}"

    def _word(self, word: str) -> str:
        bare = word.strip(_MARKS)
        if not bare or _is_known(bare) or self._is_theirs(bare) or self._is_theirs(word):
            return word
        parts = re.split(r"([:=/.]+)", bare)
        if (
            len(parts) > 1
            and not word.startswith("/")
            and all(not p or _is_known(p) or self._is_theirs(p) for p in parts[::2])
        ):
            return word
        return _CUT

    def _is_theirs(self, text: str) -> bool:
        escaped = text.replace('\\"', '"').replace("\\\\", "\\")
        return any(text in theirs or escaped in theirs for theirs in self._texts)


def _is_known(word: str) -> bool:
    if len(word) > _LONGEST_IDENTIFIER:
        return False
    return any(pattern.fullmatch(word) for pattern in (_PLAIN, _IDENTIFIER, _NUMBER))
