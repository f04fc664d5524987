"""Formats dates and times of a configuration, which are strings to the gateway and in JSON."""

from __future__ import annotations

from datetime import date, time


def as_text(value: date | time) -> str:
    """Format a date or time exactly as the gateway does."""
    text, offset = value.isoformat(), ""
    if text.endswith("+00:00"):
        text, offset = text.removesuffix("+00:00"), "Z"
    if "." in text:
        whole, _, fraction = text.partition(".")
        digits = fraction[:6].rstrip("0")
        text = f"{whole}.{digits}{fraction[6:]}" if digits else f"{whole}{fraction[6:]}"
    return text + offset
