"""Writes parts of a configuration as YAML. Pure: equal values give equal bytes, keys stay in their order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml's is five times as fast; the wheels have it."""

_ANY_WIDTH = 2**30
"""No line is broken: readers differ in how they join them."""


def yaml_text(value: object) -> str:
    """Write a value as a block."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_ANY_WIDTH)
    return text


def comment(lines: Iterable[str]) -> str:
    """Write comments, a line each, whatever characters are in them; empty for none."""
    return "".join(f"# {_one_line(line)}\n" for line in lines)


def _one_line(text: str) -> str:
    """Escape characters that could end the line or be invisible."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
