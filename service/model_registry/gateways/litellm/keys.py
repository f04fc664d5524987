"""What a value in the place of an API key is: a variable, no key at all, or a key that must not be stored. Pure."""

from __future__ import annotations

import re

from model_registry.gateways.litellm.config import variable_of

_NO_KEY = re.compile(
    r"|none|null|nil|na|n/a|no|x+|-+|anything|ignored|unused|ollama|lm[-_ ]?studio"
    r"|(sk-)?(no|not|none|fake|dummy|mock|placeholder|empty)[-_ ]?(api[-_ ]?)?(key)?([-_ ]?(needed|required|used))?"
    r"|sk-(x+|none|anything|ollama)",
    re.IGNORECASE,
)
"""Words that people write where a client asks for a key and the server needs none."""

_ENVSUBST = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_no_key(value: object) -> bool:
    """Whether a text in the place of a key means that there is none: `none`, `EMPTY`, `dummy`, `not-needed`, ..."""
    return isinstance(value, str) and _NO_KEY.fullmatch(value.strip()) is not None


def key_variable(value: object) -> str | None:
    """Return the environment variable that the place of a key names: `os.environ/NAME`, or `${NAME}` of a template."""
    if variable := variable_of(value):
        return variable if _VARIABLE.fullmatch(variable) else None
    match = _ENVSUBST.fullmatch(value) if isinstance(value, str) else None
    return match[1] if match else None


def is_literal_key(value: object) -> bool:
    """Whether a value in the place of a key is the key itself, or something instead of it that is no reference."""
    return (
        isinstance(value, str) and variable_of(value) is None and key_variable(value) is None and not is_no_key(value)
    )
