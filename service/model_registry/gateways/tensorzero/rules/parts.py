"""Rules of values that several tables contain: timeouts, retries, extra bodies and headers, prices, credentials."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from model_registry.entities.json_types import Toml
from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import Path
from model_registry.gateways.tensorzero.rules.shape import (
    Shape,
    Surroundings,
    TableOf,
    anything,
    boolean,
    integer,
    is_number,
    list_of,
    number,
    only,
    refused,
    text,
    timeout,
)

_DECIMAL_MAX = 7.9e28
"""The gateway stores prices as 96-bit decimals."""

TIMEOUTS = TableOf(
    {
        "non_streaming": TableOf({"total_ms": timeout}),
        "streaming": TableOf({"ttft_ms": timeout, "total_ms": timeout}),
    }
)

RETRIES = TableOf({"num_retries": integer(), "max_delay_s": number}, silent=True)


namespace = only(
    lambda value: isinstance(value, str) and value != "" and not value.startswith("tensorzero::"),
    "must be a name: not empty, and without 'tensorzero::' at its start",
)


def credential(places: tuple[str, ...], *, pairs: bool = False) -> Shape:
    """Make the shape of a key that says where a credential is.

    Args:
        places: the schemes and words that it takes.
        pairs: whether it also takes a table of two, of which the second counts when the first is missing.
    """
    words = [place for place in places if not place.endswith("::")]

    def location(path: Path, value: Toml, _: Surroundings) -> Iterator[Reason]:
        scheme, separator, name = value.partition("::") if isinstance(value, str) else ("", "", "")
        if value not in words and not (name and f"{scheme}{separator}" in places):
            known = ", ".join(f"{place}..." if place.endswith("::") else place for place in places)
            in_file = scheme in {"path", "path_from_env"} and "env::" in places
            hint = "; the gateway reads no file here: put the key into a variable, and name that" if in_file else ""
            yield refused(path, f"must say where the key is: one of {known}{hint}")

    pair = TableOf({"default": location, "fallback": location}, frozenset({"default", "fallback"}))

    def check(path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
        yield from (pair if pairs and isinstance(value, Mapping) else location)(path, value, around)

    return check


def _replacement(path: Path, entry: Mapping[str, Any], _: Surroundings) -> Iterator[Reason]:
    """Check that an entry either sets a value or deletes it."""
    if entry.get("delete") is False:
        yield refused((*path, "delete"), "must be true; leave it out to set a value")
    elif "value" not in entry and "delete" not in entry:
        yield refused(path, "needs a value, or delete = true")


# These keys restrict an entry to some calls; the gateway ignores unknown keys here.
_WHERE: Mapping[str, Shape] = {"variant_name": text, "model_name": text, "provider_name": text, "all": boolean}

EXTRA_BODY = list_of(
    TableOf(
        {"pointer": text, "value": anything, "delete": boolean, **_WHERE},
        frozenset({"pointer"}),
        (_replacement,),
        silent=True,
    )
)

EXTRA_HEADERS = list_of(
    TableOf(
        {"name": text, "value": text, "delete": boolean, **_WHERE}, frozenset({"name"}), (_replacement,), silent=True
    )
)


_pointer = only(
    lambda value: isinstance(value, str) and re.fullmatch(r"(/([^~]|~[01])*)?", value, re.DOTALL) is not None,
    "must be a JSON pointer into the provider's answer, such as /usage/prompt_tokens",
)
_price = only(lambda value: is_number(value) and abs(value) < _DECIMAL_MAX, "must be a number, finite and below 7.9e28")


def _cost_rules(path: Path, entry: Mapping[str, Any], _: Surroundings) -> Iterator[Reason]:
    if ("cost_per_million" in entry) == ("cost_per_unit" in entry):
        yield refused(path, "needs exactly one of cost_per_million and cost_per_unit")
    pointers = {key for key in ("pointer", "pointer_nonstreaming", "pointer_streaming") if key in entry}
    if pointers not in ({"pointer"}, {"pointer_nonstreaming", "pointer_streaming"}):
        yield refused(path, "needs either pointer, or both pointer_nonstreaming and pointer_streaming")


COST = list_of(
    TableOf(
        {
            "pointer": _pointer,
            "pointer_nonstreaming": _pointer,
            "pointer_streaming": _pointer,
            "cost_per_million": _price,
            "cost_per_unit": _price,
            "required": boolean,
        },
        rules=(_cost_rules,),
        silent=True,
    )
)
