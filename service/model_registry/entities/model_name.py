"""When two names mean the same model to the servers that use them. Pure.

Ollama takes an untagged name for `:latest`, adds `registry.ollama.ai/library/` to a bare one, and ignores the case
(https://github.com/ollama/ollama/blob/main/types/model/name.go). `hf.co` and `huggingface.co` are one host. The
database has the same rule, `model_name_key` in schema/24_link_rule.sql; a test compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_OLLAMA = re.compile(r"(https?://)?((registry\.)?ollama\.(ai|com)/)?(library/)?(?=.)", re.DOTALL)
_HUB = re.compile(r"(www\.)?(huggingface\.co|hf\.co)/(?=.)", re.DOTALL)
_LATEST = ":latest"


def ascii_lower(text: str) -> str:
    """Return a text with its ASCII letters in lower case: what the database does, whatever its collation."""
    return text.translate(_LOWER)


@lru_cache(maxsize=16384)
def name_key(name: str) -> str:
    """Return what all names of a model share: `llama3.2` for `registry.ollama.ai/library/Llama3.2:latest`."""
    key = _OLLAMA.sub("", ascii_lower(name), count=1) if name else name
    if match := _HUB.match(key):
        key = f"hf.co/{key[match.end() :]}"
    return key[: -len(_LATEST)] if key.endswith(_LATEST) and key != _LATEST else key


def same_names(name: str, names: Iterable[str], *, ollama: bool) -> list[str]:
    """Return those of a server's names that mean the same model, the exact one first.

    At an Ollama all of them do. Other servers know one spelling: another counts only where the exact one is missing.
    """
    key = name_key(name)
    alike = sorted((other for other in names if name_key(other) == key), key=lambda other: (other != name, other))
    return alike if ollama or name not in alike else [name]
