"""Tells for which kind of gateway configuration files are, by their content. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import tomli

ReadableKind = Literal["tensorzero", "litellm"]
"""The kinds whose configurations can be imported."""


def kind_of(files: Mapping[str, str]) -> ReadableKind:
    """Return the kind: TensorZero's configurations are TOML, LiteLLM's are YAML, which is never both.

    A file that is neither is LiteLLM's, whose reader names the mistake, unless its name is that of a TOML file.
    """
    if any(name.endswith(".toml") for name in files):
        return "tensorzero"
    return "tensorzero" if files and all(map(_is_toml, files.values())) else "litellm"


def _is_toml(text: str) -> bool:
    try:
        return bool(tomli.loads(text.removeprefix("\ufeff")))
    except (ValueError, RecursionError):
        return False
