"""The `Prefer` header (RFC 7240): whether a caller would rather get an answer at once than wait. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

LONGEST_WAIT_SECONDS: Final = 600.0
_PREFERENCE = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*(?:=\s*"?([^",;]*)"?)?\s*(?:;[^,]*)?\s*')


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a caller prefers."""

    respond_async: bool = False
    wait: float | None = None
    """Seconds for which the caller would wait for the answer itself."""

    @property
    def applied(self) -> str:
        """The value of `Preference-Applied` where the answer comes at once."""
        return "respond-async" if self.wait is None else f"respond-async, wait={self.wait:g}"


def read_preferences(headers: Iterable[tuple[bytes, bytes]]) -> Preferences:
    """Read the headers of a request; names in lower case. Preferences that are not known here do not count."""
    found: dict[str, str] = {}
    for name, value in headers:
        if name == b"prefer":
            for part in value.decode("latin-1").split(","):
                if preference := _PREFERENCE.fullmatch(part):
                    found.setdefault(preference[1].lower(), (preference[2] or "").strip())
    wait = found.get("wait", "")
    seconds = min(float(wait), LONGEST_WAIT_SECONDS) if wait.isascii() and wait.isdigit() else None
    return Preferences("respond-async" in found, seconds)
