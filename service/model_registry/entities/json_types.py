"""The types of JSON and TOML values: what requests, rows and documents of others hold."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""Any JSON value."""

JsonObject: TypeAlias = dict[str, Json]
"""A JSON object."""

Toml: TypeAlias = "bool | int | float | str | datetime | date | time | list[Toml] | dict[str, Toml] | None"
"""Any value of a TOML document; None where a row has one and the document will not."""
