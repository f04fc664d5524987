"""Dates and times of a configuration, which are strings to the gateway and to JSON."""

from __future__ import annotations

from datetime import date, time


def as_text(value: date | time) -> str:
    """A date or time as a string, as the gateway turns it into one."""
    text, offset = value.isoformat(), ""
    if text.endswith("+00:00"):
        text, offset = text.removesuffix("+00:00"), "Z"
    if "." in text:
        whole, _, fraction = text.partition(".")
        digits = fraction[:6].rstrip("0")
        text = f"{whole}.{digits}{fraction[6:]}" if digits else f"{whole}{fraction[6:]}"
    return text + offset
